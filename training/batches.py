"""The batches of many models that learn side by side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BATCH_SIZE = 64

Rows = NDArray[np.intp]


class Batches:
    """Shuffled batches for many models at once, of at most BATCH_SIZE rows and within one of equal size.

    Every model takes the same number of steps an epoch, however many training rows its split has.
    """

    def __init__(
        self, split_of_model: Rows, trainings: Sequence[Rows], generators: Sequence[np.random.Generator]
    ) -> None:
        steps = -(-max(map(len, trainings)) // BATCH_SIZE)
        self._shape = (len(generators), steps, BATCH_SIZE)
        self._trainings = [trainings[split] for split in split_of_model]
        self._generators = generators
        self._slots = []
        for rows in self._trainings:
            sizes = [len(part) for part in np.array_split(rows, steps)]
            self._slots.append(np.arange(BATCH_SIZE) < np.array(sizes)[:, None])

    def draw(self) -> NDArray[np.int32]:
        """The row indices (steps, models, BATCH_SIZE) of an epoch; -1 where a batch is not full."""
        batches = np.full(self._shape, -1, np.int32)
        for batch, slots, rows, generator in zip(batches, self._slots, self._trainings, self._generators, strict=True):
            batch[slots] = generator.permutation(rows)
        return batches.swapaxes(0, 1)
