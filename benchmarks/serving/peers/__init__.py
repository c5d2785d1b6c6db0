"""The other stacks, one file each, every one run in an environment of its own, pinned beside it."""
