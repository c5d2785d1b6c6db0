import dataclasses
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.networks import fit_plainly
from models.archive import DEFAULT_BUNDLE
from models.bundle import ModelBundle
from training import metrics, networks
from training.dataset import Dataset
from training.recipes import HIDDEN, PLACES, RECIPES, SIMPLE, Recipe


def exported_arrays(fit: networks.Fit) -> list[NDArray[np.float32]]:
    return [array for network in fit.networks for layer in network.layers for array in (layer.kernel, layer.bias)]


@pytest.mark.parametrize(
    ("recipe", "classes", "parameters", "activations"),
    [
        (SIMPLE, 2, 138, ["sigmoid"]),
        (HIDDEN, 2, 2274, ["relu", "softmax"]),
        (PLACES, 33, 5 * 26_145, ["relu", "softmax"]),
    ],
    ids=lambda value: value.name if isinstance(value, Recipe) else "",
)
def test_architecture(dataset: Dataset, recipe: Recipe, classes: int, parameters: int, activations: list[str]) -> None:
    model = networks.build(recipe, classes)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 68)
    assert model.output_shape == (None, classes)
    assert recipe.classes(dataset) == classes
    short = dataclasses.replace(recipe, epochs=1)
    (network,) = networks.fit(short, dataset, [dataset.split(0).training], [0]).networks
    assert network.parameter_count == parameters
    assert [layer.activation for layer in network.layers] == activations


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_kept_epoch_is_the_recipes_own(made: Dataset, recipe: Recipe) -> None:
    recipe = dataclasses.replace(recipe, epochs=4)
    training = made.split(0).training
    watched = networks.fit(recipe, made, [training], [0], watch_epochs=6)
    alone = networks.fit(recipe, made, [training], [0])
    for first, second in zip(exported_arrays(watched), exported_arrays(alone), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(watched.probabilities, alone.probabilities)
    assert alone.history is None
    assert watched.history is not None
    assert watched.history.accuracy.shape == (6, 1, 2)


def test_history_is_of_training_rows_then_of_all_others(made: Dataset) -> None:
    recipe = dataclasses.replace(HIDDEN, epochs=5)
    splits = [made.split(seed) for seed in (0, 1)]
    fit = networks.fit(recipe, made, [split.training for split in splits], [0, 1], watch_epochs=5)
    assert fit.history is not None
    for number, split in enumerate(splits):
        north = fit.probabilities[number, :, 1]
        for side, rows in enumerate((split.training, split.validation)):
            accuracy, loss = fit.history.accuracy[4, number, side], fit.history.log_loss[4, number, side]
            assert accuracy == pytest.approx(metrics.accuracy(north[rows], made.north_of_20[rows]))
            assert loss == pytest.approx(metrics.log_loss(north[rows], made.north_of_20[rows]), rel=1e-4)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_training_is_seeded_and_learns(made: Dataset, recipe: Recipe) -> None:
    recipe = dataclasses.replace(recipe, epochs=15)
    training = made.split(0).training
    first, second, other = (networks.fit(recipe, made, [training], [seed], watch_epochs=15) for seed in (0, 0, 1))
    for one, same, another in zip(*map(exported_arrays, (first, second, other)), strict=True):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, another)
    assert first.history is not None
    assert first.history.log_loss[-1, 0, 0] < first.history.log_loss[0, 0, 0]


def test_models_side_by_side_learn_what_each_learns_alone(made: Dataset) -> None:
    """Also with training rows that differ in number, where each model's batches are of its own size."""
    recipe = dataclasses.replace(HIDDEN, epochs=10)
    trainings = [made.split(0).training, made.split(1).training[:33], made.split(2).training]
    together = networks.fit(recipe, made, trainings, [5, 6, 7])
    for number, (training, seed) in enumerate(zip(trainings, (5, 6, 7), strict=True)):
        alone = networks.fit(recipe, made, [training], [seed])
        np.testing.assert_allclose(together.probabilities[number], alone.probabilities[0], atol=1e-5)


def test_rows_outside_the_training_rows_teach_nothing(made: Dataset) -> None:
    """The first row is among those: it stands in for what a batch lacks, and must not count."""
    training = np.setdiff1d(made.split(0).training, [0])
    shuffled = made.features.copy()
    others = np.setdiff1d(np.arange(len(made)), training)
    shuffled[others] = shuffled[others[::-1]] * 9
    changed = Dataset(shuffled, made.latitude, made.longitude, made.sha256)
    recipe = dataclasses.replace(PLACES, epochs=3)
    for first, second in zip(
        exported_arrays(networks.fit(recipe, made, [training], [0])),
        exported_arrays(networks.fit(recipe, changed, [training], [0])),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("change", [{"input_noise": 0.0}, {"dropout": 0.0}, {"label_smoothing": 0.0}], ids=str)
def test_each_part_of_the_recipe_has_its_effect(made: Dataset, change: dict[str, float]) -> None:
    recipe = dataclasses.replace(PLACES, epochs=2)
    without = dataclasses.replace(recipe, **change)  # type: ignore[arg-type]
    training = made.split(0).training
    first, second = (networks.fit(each, made, [training], [0]) for each in (recipe, without))
    assert not np.allclose(first.probabilities, second.probabilities, atol=1e-6)


def test_predictions_are_without_noise_and_dropout(made: Dataset) -> None:
    fit = networks.fit(dataclasses.replace(PLACES, epochs=2), made, [made.split(0).training], [0])
    np.testing.assert_allclose(fit.networks[0].predict(made.features), fit.probabilities[0], atol=1e-6)


def test_few_training_rows_beside_many_leave_no_gaps(dataset: Dataset) -> None:
    fit = networks.fit(dataclasses.replace(HIDDEN, epochs=2), dataset, [np.arange(1000), np.arange(5)], [0, 1])
    assert np.isfinite(fit.probabilities).all()


def test_loss_is_that_of_the_probabilities_that_are_predicted(made: Dataset) -> None:
    """Keras alone would train the softmax of the logits behind sigmoid outputs, and not their share in the sum."""
    recipe = dataclasses.replace(SIMPLE, epochs=400)
    training = made.split(0).training
    (network,) = networks.fit(recipe, made, [training], [0]).networks
    kernel, bias = network.layers[0].kernel, network.layers[0].bias
    features, labels = made.features[training].astype(np.float32), made.north_of_20[training].astype(int)

    def loss(kernel: NDArray[np.float32]) -> float:
        outputs = 1 / (1 + np.exp(-(features @ kernel + bias).astype(np.float64)))
        probabilities = outputs / outputs.sum(axis=1, keepdims=True)
        return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())

    generator = np.random.default_rng(0)
    start = loss(kernel * 0)
    assert loss(kernel) < 0.2 * start
    direction = generator.normal(size=kernel.shape).astype(np.float32)
    assert loss(kernel) < loss(kernel + 0.3 * direction)
    reported = networks.fit(recipe, made, [training], [0], watch_epochs=400).history
    assert reported is not None
    assert reported.log_loss[-1, 0, 0] == pytest.approx(loss(kernel), rel=1e-3)
    assert sigmoid_gradient_norm(features, labels, kernel, bias) < 0.05


def sigmoid_gradient_norm(
    features: NDArray[np.float32], labels: NDArray[np.int_], kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> float:
    """The size of the gradient of the mean loss of divided sigmoids, by the bias: near zero where training ends."""
    outputs = 1 / (1 + np.exp(-(features @ kernel + bias).astype(np.float64)))
    shares = outputs / outputs.sum(axis=1, keepdims=True)
    gradient = (shares - np.eye(2)[labels]) * (1 - outputs)
    return float(np.abs(gradient.mean(axis=0)).max())


def test_fit_side_by_side_is_statistically_the_plain_fit(dataset: Dataset) -> None:
    """The hidden network on 20 seeds: the means of its figures differ by no more than chance."""
    splits = [dataset.split(seed) for seed in range(20)]
    fit = networks.fit(HIDDEN, dataset, [split.training for split in splits], range(20))
    differences = []
    for seed, (split, probabilities) in enumerate(zip(splits, fit.probabilities, strict=True)):
        plain = networks.predict(fit_plainly(dataset, split, HIDDEN.epochs, seed), dataset.features)
        row = []
        for rows in (split.training, split.validation):
            for measure in (metrics.accuracy, metrics.log_loss):
                ours, theirs = (measure(each[rows, 1], dataset.north_of_20[rows]) for each in (probabilities, plain))
                row.append(ours - theirs)
        differences.append(row)
    mean, spread = np.mean(differences, axis=0), np.std(differences, axis=0, ddof=1)
    assert (np.abs(mean) < 3 * spread / np.sqrt(20)).all(), (mean, spread)
    assert (np.abs(mean) < [0.01, 0.01, 0.02, 0.03]).all(), mean


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_exported_and_saved_networks_give_keras_probabilities(made: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    fit = networks.fit(dataclasses.replace(recipe, epochs=3), made, [made.split(0).training], [3])
    (network,) = fit.networks
    np.testing.assert_allclose(network.predict(made.features), fit.probabilities[0], atol=1e-6)

    features = np.random.default_rng(5).normal(0, 3, size=(500, 68))
    model = networks.as_keras(recipe, network)
    probabilities = networks.predict(model, features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(network.predict(features), probabilities, atol=1e-6)

    networks.save(model, tmp_path / "saved.keras")
    assert list(tmp_path.iterdir()) == [tmp_path / "saved.keras"]
    loaded = keras.saving.load_model(tmp_path / "saved.keras")
    np.testing.assert_array_equal(networks.predict(loaded, features), probabilities)
    assert not loaded.compiled


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_same_weights_are_saved_as_the_same_bytes(made: Dataset, recipe: Recipe, tmp_path: Path) -> None:
    (network,) = networks.fit(dataclasses.replace(recipe, epochs=1), made, [made.split(0).training], [3]).networks
    for name in ("first", "second"):
        networks.save(networks.as_keras(recipe, network), tmp_path / f"{name}.keras")
    assert (tmp_path / "first.keras").read_bytes() == (tmp_path / "second.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "first.keras") as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_committed_keras_files_hold_the_weights_of_the_bundle(bundle: ModelBundle, recipe: Recipe) -> None:
    model = keras.saving.load_model(DEFAULT_BUNDLE.with_name(f"{recipe.name}.keras"))
    expected = networks.as_keras(recipe, bundle.networks[recipe.name])
    for saved, kept in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, kept)
    features = np.random.default_rng(1).normal(size=(100, 68))
    exported = bundle.networks[recipe.name].predict(features)
    np.testing.assert_allclose(networks.predict(model, features), exported, atol=1e-6)
