"""The ways to divide the rows: random splits, ten folds, and folds that hold out whole places."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training import metrics
from training.dataset import Dataset, Split
from training.metrics import Estimate

RANDOM_SPLITS = 20
FOLDS = 10
PLACE_FOLDS = 11


@dataclass(frozen=True, eq=False)
class Protocol:
    """A way to divide the rows, and each of its splits."""

    name: str
    splits: list[Split]

    @property
    def validation_share(self) -> float:
        """The mean ratio of validation rows to training rows."""
        return float(np.mean([len(split.validation) / len(split.training) for split in self.splits]))

    def estimate(self, values: Iterable[float]) -> Estimate:
        """The mean, spread and interval of a figure that each split has one of."""
        return metrics.estimate(list(values), self.validation_share)


def protocols(dataset: Dataset, seed: int) -> tuple[Protocol, Protocol, Protocol]:
    """20 random splits, ten folds, and 11 folds that hold out whole places."""
    return (
        Protocol("random splits", [dataset.split(seed + number) for number in range(RANDOM_SPLITS)]),
        Protocol("ten folds", ten_folds(dataset, seed)),
        Protocol("held-out places", held_out_places(dataset, seed)),
    )


def ten_folds(dataset: Dataset, seed: int) -> list[Split]:
    """Shuffles the rows into ten parts; each is validated on once."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    return [_held_out(np.isin(np.arange(len(dataset)), part)) for part in np.array_split(order, FOLDS)]


def held_out_places(dataset: Dataset, seed: int) -> list[Split]:
    """Deals the places into 11 folds, those of one side of 20° N after the other, so that each fold has both.

    No place is on both sides of a split.
    """
    generator = np.random.default_rng(seed)
    north = dataset.places.north_of_20
    order = np.concatenate([generator.permutation(np.flatnonzero(side)) for side in (~north, north)])
    folds = min(PLACE_FOLDS, len(order))
    fold_of_place = np.empty(len(order), np.intp)
    fold_of_place[order] = np.arange(len(order)) % folds
    return [_held_out(fold_of_place[dataset.place] == fold) for fold in range(folds)]


def _held_out(rows: NDArray[np.bool_]) -> Split:
    return Split(np.flatnonzero(~rows), np.flatnonzero(rows))
