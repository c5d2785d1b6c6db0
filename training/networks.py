"""The two Keras networks: build, fit, predict, export, save. The only file that imports Keras or TensorFlow."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# TensorFlow reads these when it is imported. The networks are too small to gain from a GPU, and the CPU without
# oneDNN's reordered sums gives the same weights every time.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

from models.bundle import CLASS_COUNT
from models.features import FEATURE_COUNT, Floats
from models.predictors import Dense, DenseNetwork
from training.dataset import Dataset, Split

BATCH_SIZE = 64
HIDDEN_UNITS = 32

Build = Callable[[], keras.Sequential]

# The hidden network keeps the weights of this epoch: the notebook saw it overfit from here on. The number is fixed
# beforehand and not chosen by how the validation rows fare, so that they stay a measure.
HIDDEN_EPOCHS = 40


@dataclass(frozen=True, eq=False)
class FittedNetwork:
    """A trained network: the Keras model with the weights of the kept epoch (the first is 1), and the history.

    `history` has "loss", "accuracy", "val_loss" and "val_accuracy", a number an epoch.
    """

    model: keras.Sequential
    kept_epoch: int
    history: Mapping[str, list[float]]


def build_simple() -> keras.Sequential:
    """One layer, 68 → 2 sigmoid: 138 parameters."""
    return keras.Sequential(
        [keras.Input((FEATURE_COUNT,)), keras.layers.Dense(CLASS_COUNT, activation="sigmoid")], name="simple"
    )


def build_hidden() -> keras.Sequential:
    """One hidden layer, 68 → 32 relu → 2 softmax: 2,274 parameters."""
    return keras.Sequential(
        [
            keras.Input((FEATURE_COUNT,)),
            keras.layers.Dense(HIDDEN_UNITS, activation="relu"),
            keras.layers.Dense(CLASS_COUNT, activation="softmax"),
        ],
        name="hidden",
    )


def fit_simple(dataset: Dataset, split: Split, *, epochs: int, seed: int) -> FittedNetwork:
    """Trains the simple network and keeps its last epoch."""
    keras.utils.set_random_seed(seed)
    return _fit(build_simple(), dataset, split, epochs, kept_epoch=epochs)


def fit_hidden(dataset: Dataset, split: Split, *, epochs: int, seed: int) -> FittedNetwork:
    """Trains the hidden network and keeps epoch 40, or the last one of fewer."""
    keras.utils.set_random_seed(seed)
    return _fit(build_hidden(), dataset, split, epochs, kept_epoch=min(HIDDEN_EPOCHS, epochs))


def predict(model: keras.Sequential, features: Floats) -> NDArray[np.float32]:
    """Keras's class probabilities (n, 2), each row divided by its sum as categorical cross-entropy does."""
    outputs: NDArray[np.float32] = model.predict(features.astype(np.float32), verbose=0)
    probabilities: NDArray[np.float32] = outputs / outputs.sum(axis=1, keepdims=True)
    return probabilities


def export(model: keras.Sequential) -> DenseNetwork:
    """The same network in NumPy."""
    return DenseNetwork(
        [
            Dense(layer.kernel.numpy(), layer.bias.numpy(), keras.activations.serialize(layer.activation))
            for layer in model.layers
        ]
    )


def save(model: keras.Sequential, path: Path) -> None:
    """Writes a .keras file for Keras's own users: architecture and weights, without the optimizer's state."""
    uncompiled = keras.Sequential.from_config(model.get_config())
    uncompiled.set_weights(model.get_weights())
    uncompiled.save(path)


def _fit(model: keras.Sequential, dataset: Dataset, split: Split, epochs: int, kept_epoch: int) -> FittedNetwork:
    tf.config.experimental.enable_op_determinism()
    features = dataset.features.astype(np.float32)
    one_hot = np.eye(CLASS_COUNT, dtype=np.float32)[dataset.north_of_20.astype(np.intp)]
    kept_weights: list[NDArray[np.float32]] = []

    columns = (
        "{task.description}",
        BarColumn(20),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        "{task.fields[scores]}",
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(f"{model.name} network", total=epochs, scores="")

        def on_epoch_end(epoch: int, logs: Mapping[str, float]) -> None:
            if epoch + 1 == kept_epoch:
                kept_weights.extend(model.get_weights())
            scores = f"accuracy {logs['accuracy']:.3f} validation {logs['val_accuracy']:.3f}"
            progress.update(bar, advance=1, scores=scores)

        model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(
            features[split.training],
            one_hot[split.training],
            batch_size=BATCH_SIZE,
            epochs=epochs,
            validation_data=(features[split.validation], one_hot[split.validation]),
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)],
            verbose=0,
        )
    model.set_weights(kept_weights)
    return FittedNetwork(model, kept_epoch, history.history)
