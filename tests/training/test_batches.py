import numpy as np

from training.batches import BATCH_SIZE, Batches


def test_an_epoch_takes_every_training_row_once() -> None:
    trainings = [np.arange(100, 230), np.arange(5, 75)]
    generators = np.random.default_rng(0).spawn(3)
    batches = Batches(np.array([0, 0, 1]), trainings, generators)
    epochs = [batches.draw() for _ in range(2)]
    for epoch in epochs:
        assert epoch.shape == (3, 3, BATCH_SIZE)
        for model, rows in enumerate((trainings[0], trainings[0], trainings[1])):
            drawn = epoch[:, model]
            assert sorted(drawn[drawn >= 0]) == list(rows)
            sizes = (drawn >= 0).sum(axis=1)
            assert sizes.max() - sizes.min() <= 1
        assert not np.array_equal(epoch[:, 0], epoch[:, 1])
    assert not np.array_equal(epochs[0], epochs[1])
