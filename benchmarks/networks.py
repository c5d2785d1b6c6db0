"""Training networks side by side against Keras's plain `fit`."""

from dataclasses import replace

import keras
import numpy as np

from benchmarks.timing import Timings, interleaved
from training import networks
from training.batches import BATCH_SIZE
from training.dataset import Dataset, Split
from training.recipes import HIDDEN

EPOCHS = 100
SPLITS = 20
ROUNDS = 5

PLAIN, ONE, ALL = "Keras's plain fit, one split", "side by side, one split", f"side by side, {SPLITS} splits"


def measure_training(dataset: Dataset) -> Timings:
    """Seconds to train the hidden network for 100 epochs: one split plainly, one and twenty splits side by side."""
    splits = [dataset.split(seed) for seed in range(SPLITS)]
    recipe = replace(HIDDEN, epochs=EPOCHS)
    return interleaved(
        {
            PLAIN: lambda: fit_plainly(dataset, splits[0], EPOCHS, seed=0),
            ONE: lambda: networks.fit(recipe, dataset, [splits[0].training], [0]),
            ALL: lambda: networks.fit(recipe, dataset, [split.training for split in splits], range(SPLITS)),
        },
        ROUNDS,
    )


def fit_plainly(dataset: Dataset, split: Split, epochs: int, seed: int) -> keras.Model:
    """The hidden network as a Keras tutorial would train it."""
    keras.utils.set_random_seed(seed)
    model = networks.build(HIDDEN, HIDDEN.classes(dataset))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    features = dataset.features.astype(np.float32)
    one_hot = np.eye(2, dtype=np.float32)[HIDDEN.labels(dataset)]
    model.fit(
        features[split.training],
        one_hot[split.training],
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(features[split.validation], one_hot[split.validation]),
        verbose=0,
    )
    return model
