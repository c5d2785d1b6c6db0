import numpy as np
import pytest

from training.dataset import Dataset
from training.protocols import held_out_places, protocols


def test_twenty_random_splits_of_800_and_259(dataset: Dataset) -> None:
    protocol, _, _ = protocols(dataset, 0)
    assert len(protocol.splits) == 20
    assert protocol.validation_share == pytest.approx(259 / 800)
    for number, split in enumerate(protocol.splits):
        assert (len(split.training), len(split.validation)) == (800, 259)
        assert sorted([*split.training, *split.validation]) == list(range(1059))
        np.testing.assert_array_equal(split.validation, dataset.split(number).validation)
    assert len({tuple(split.validation) for split in protocol.splits}) == 20


@pytest.mark.parametrize("position", [1, 2])
def test_folds_leave_out_every_row_once(dataset: Dataset, position: int) -> None:
    protocol = protocols(dataset, 0)[position]
    assert len(protocol.splits) == (10, 11)[position - 1]
    assert sorted(np.concatenate([split.validation for split in protocol.splits])) == list(range(1059))
    for split in protocol.splits:
        assert not set(split.training) & set(split.validation)
        assert len(split.training) + len(split.validation) == 1059


@pytest.mark.parametrize("seed", range(5))
def test_no_held_out_place_is_on_both_sides(dataset: Dataset, seed: int) -> None:
    for split in held_out_places(dataset, seed):
        held_out = set(dataset.place[split.validation])
        assert len(held_out) == 3
        assert not held_out & set(dataset.place[split.training])
        sides = dataset.north_of_20[split.validation]
        assert sides.any()
        assert not sides.all()
