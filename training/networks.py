"""The three Keras networks: build, fit many at once, export, save. The only file that imports Keras or TensorFlow.

Networks this small spend their training time between the steps, not in them. So all models of a fit, one for each
split and member, stand side by side in one Keras model whose layers carry a leading axis of models, and whole epochs
run inside one TensorFlow function.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

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

from models.features import FEATURE_COUNT, Floats
from models.predictors import HIDDEN_ACTIVATION, Dense, DenseNetwork
from training.batches import Batches, Rows
from training.dataset import Dataset
from training.recipes import Recipe

tf.get_logger().setLevel("ERROR")  # it warns of a new function for every fit, which is meant

Labels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class History:
    """Accuracy and log loss after every epoch, (epochs, splits, 2): on the training rows, then on all others."""

    accuracy: NDArray[np.float32]
    log_loss: NDArray[np.float32]


class Fit(NamedTuple):
    """What training gave: a network for each split, and Keras's own class probabilities (splits, n, classes).

    `history` goes on past the kept epoch, as far as it was watched; it is None where it was not.
    """

    networks: list[DenseNetwork]
    probabilities: NDArray[np.float32]
    history: History | None


class StackedDense(keras.layers.Layer):  # type: ignore[misc]
    """The dense layers of many models side by side: (models, n, inputs) → (models, n, units)."""

    def __init__(self, units: int, activation: str) -> None:
        super().__init__()
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int, int, int]) -> None:
        """Makes kernel (models, inputs, units) and bias (models, units)."""
        models, _, inputs = input_shape
        self.kernel = self.add_weight(shape=(models, inputs, self.units), initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(models, self.units), initializer="zeros", name="bias")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Applies each model's layer to its own rows."""
        return self.activation(tf.einsum("mni,mio->mno", inputs, self.kernel) + self.bias[:, None])


def fit(
    recipe: Recipe,
    dataset: Dataset,
    trainings: Sequence[Rows],
    seeds: Sequence[int],
    *,
    watch_epochs: int = 0,
    description: str | None = None,
) -> Fit:
    """Trains a network on each of several sets of training rows, all at once.

    Initial weights and shuffles are each one's own, by its seed; noise and dropout are drawn for all together, by the
    first seed.

    With `watch_epochs` the history is kept, and training goes on for at least so many epochs; the networks and
    probabilities are those of the recipe's own epoch all the same.
    """
    labels, classes = recipe.labels(dataset), recipe.classes(dataset)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seeds[0])
    generators = [member for seed in seeds for member in np.random.default_rng(seed).spawn(recipe.members)]
    batches = Batches(np.repeat(np.arange(len(trainings)), recipe.members), trainings, generators)
    model = _stack(recipe, classes, generators)
    inputs = tf.constant(dataset.features, tf.float32)
    one_hot = tf.one_hot(labels, classes)
    train_epoch = _epoch(model, inputs, one_hot, recipe.label_smoothing)
    side_by_side = tf.repeat(inputs[None], len(generators), axis=0)
    predict = partial(model, side_by_side, training=False)
    scores = []

    columns = ("{task.description}", BarColumn(20), TaskProgressColumn(), TimeRemainingColumn(), "{task.fields[note]}")
    with Progress(*columns) as progress:
        epochs = max(recipe.epochs, watch_epochs)
        bar = progress.add_task(description or f"{recipe.name} network", total=epochs, note="")
        for epoch in range(1, epochs + 1):
            train_epoch(tf.constant(batches.draw()))
            if watch_epochs:
                scores.append(_scores(_averaged(predict().numpy(), recipe), labels, trainings))
                training, validation = scores[-1][0].mean(axis=0)  # the accuracies
                progress.update(bar, note=f"accuracy {training:.3f} validation {validation:.3f}")
            if epoch == recipe.epochs:
                networks = _export(model, recipe)
                probabilities = _averaged(predict().numpy(), recipe)
            progress.update(bar, advance=1)
    return Fit(networks, probabilities, History(*np.stack(scores, axis=1)) if scores else None)


def build(recipe: Recipe, classes: int) -> keras.Model:
    """The network as Keras's own users know it, with fresh weights; of several members, their average."""
    keras.utils.clear_session()  # so that the layers' names do not depend on what was built before
    members = [
        keras.Sequential(
            [keras.Input((FEATURE_COUNT,)), *_layers(recipe, classes, keras.layers.Dense)],
            name=recipe.name if recipe.members == 1 else f"member_{number}",
        )
        for number in range(recipe.members)
    ]
    if recipe.members == 1:
        return members[0]
    inputs = keras.Input((FEATURE_COUNT,))
    outputs = keras.layers.Average()([member(inputs) for member in members])
    return keras.Model(inputs, outputs, name=recipe.name)


def as_keras(recipe: Recipe, network: DenseNetwork) -> keras.Model:
    """The exported network as a Keras model."""
    model = build(recipe, network.classes)
    arrays = [array for layer in network.layers for array in (layer.kernel, layer.bias)]
    model.set_weights(
        arrays if recipe.members == 1 else [part for member in zip(*arrays, strict=True) for part in member]
    )
    return model


def predict(model: keras.Model, features: Floats) -> NDArray[np.float32]:
    """Keras's class probabilities (n, classes), each row divided by its sum as categorical cross-entropy does."""
    outputs: NDArray[np.float32] = model.predict(features.astype(np.float32), verbose=0)
    probabilities: NDArray[np.float32] = outputs / outputs.sum(axis=1, keepdims=True)
    return probabilities


def save(model: keras.Model, path: Path) -> None:
    """Writes a .keras file for Keras's own users; the same weights give the same bytes.

    Keras writes the time of saving and the memory addresses of shared objects into its archive: here the time is that
    of the archive format's beginning, and the objects are numbered in their order.
    """
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    metadata = json.loads(members["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    members["metadata.json"] = json.dumps(metadata).encode()
    numbers: dict[str, str] = {}
    members["config.json"] = re.sub(
        r'(?<="shared_object_id": )\d+',
        lambda found: numbers.setdefault(found[0], str(len(numbers))),
        members["config.json"].decode(),
    ).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def _layers(recipe: Recipe, classes: int, dense: Callable[[int, str], keras.layers.Layer]) -> list[keras.layers.Layer]:
    layers = [keras.layers.GaussianNoise(recipe.input_noise)] if recipe.input_noise else []
    if recipe.hidden_units:
        layers.append(dense(recipe.hidden_units, HIDDEN_ACTIVATION))
    if recipe.dropout:
        layers.append(keras.layers.Dropout(recipe.dropout))
    return [*layers, dense(classes, recipe.activation)]


def _stack(recipe: Recipe, classes: int, generators: Sequence[np.random.Generator]) -> keras.Sequential:
    """A model of one network for each generator, with Glorot's uniform kernels drawn from it and biases of zero."""
    inputs = keras.Input((None, FEATURE_COUNT), batch_size=len(generators))
    model = keras.Sequential([inputs, *_layers(recipe, classes, StackedDense)])
    for layer in model.layers:
        if isinstance(layer, StackedDense):
            _, rows, columns = layer.kernel.shape
            limit = np.sqrt(6 / (rows + columns))
            layer.kernel.assign([generator.uniform(-limit, limit, (rows, columns)) for generator in generators])
    return model


def _epoch(
    model: keras.Sequential, inputs: tf.Tensor, one_hot: tf.Tensor, label_smoothing: float
) -> Callable[[tf.Tensor], None]:
    """The function that trains all models for one epoch of batches (steps, models, BATCH_SIZE)."""
    variables = model.trainable_variables
    optimizer = keras.optimizers.Adam()
    optimizer.build(variables)

    def step(batch: tf.Tensor) -> None:
        rows, weights = tf.maximum(batch, 0), tf.cast(batch >= 0, tf.float32)
        with tf.GradientTape() as tape:
            outputs = model(tf.gather(inputs, rows), training=True)
            # Divided here: Keras would train the softmax of the logits that it finds behind sigmoid outputs, which
            # is not what they predict.
            probabilities = outputs / tf.reduce_sum(outputs, axis=2, keepdims=True)
            losses = keras.losses.categorical_crossentropy(
                tf.gather(one_hot, rows), probabilities, label_smoothing=label_smoothing
            )
            # The sum over models of each one's mean: the gradient of a weight is that of its own model.
            totals, counts = tf.reduce_sum(weights * losses, axis=1), tf.reduce_sum(weights, axis=1)
            loss = tf.reduce_sum(tf.math.divide_no_nan(totals, counts))
        optimizer.apply(tape.gradient(loss, variables), variables)

    # A loop of TensorFlow's own: its reading of Python's loops (AutoGraph) fails on some versions of Python.
    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def train_epoch(batches: tf.Tensor) -> None:
        def take_step(number: tf.Tensor) -> tf.Tensor:
            step(batches[number])
            return number + 1

        steps = tf.shape(batches)[0]
        tf.while_loop(lambda number: number < steps, take_step, [0])

    return train_epoch  # type: ignore[no-any-return]


def _averaged(outputs: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Outputs (splits · members, n, classes) as probabilities (splits, n, classes)."""
    probabilities = outputs / outputs.sum(axis=2, keepdims=True)
    averaged: NDArray[np.float32] = probabilities.reshape(-1, recipe.members, *outputs.shape[1:]).mean(axis=1)
    return averaged


def _scores(probabilities: NDArray[np.float32], labels: Labels, trainings: Sequence[Rows]) -> NDArray[np.float32]:
    """Accuracy and log loss (2, splits, 2) on each split's training rows and on all other rows."""
    correct = (probabilities.argmax(axis=2) == labels).astype(np.float32)
    losses = -np.log(np.maximum(probabilities[:, np.arange(len(labels)), labels], np.finfo(np.float32).tiny))
    sides = [[rows, np.setdiff1d(np.arange(len(labels)), rows)] for rows in trainings]
    return np.array(
        [
            [[values[rows].mean() for rows in both] for values, both in zip(measure, sides, strict=True)]
            for measure in (correct, losses)
        ],
        np.float32,
    )


def _export(model: keras.Sequential, recipe: Recipe) -> list[DenseNetwork]:
    """The networks in NumPy, one for each split; those of several members with a leading axis of members."""
    layers = [
        Dense(layer.kernel.numpy(), layer.bias.numpy(), keras.activations.serialize(layer.activation))
        for layer in model.layers
        if isinstance(layer, StackedDense)
    ]
    firsts = range(0, len(layers[0].kernel), recipe.members)
    models = firsts if recipe.members == 1 else [slice(first, first + recipe.members) for first in firsts]
    return [
        DenseNetwork([Dense(layer.kernel[each], layer.bias[each], layer.activation) for layer in layers])
        for each in models
    ]
