"""What goes wrong in ways that the user can mend."""


class ScoringError(Exception):
    """Something that keeps a catalogue from being scored. The message is one sentence that says what to mend."""
