from pathlib import Path

import keras
import numpy as np
import pytest

from models.bundle import DEFAULT_BUNDLE, ModelBundle
from training import evaluate, networks
from training.dataset import Dataset, Split, parse


@pytest.fixture(scope="module")
def made(made_lines: list[str]) -> Dataset:
    return parse("\n".join(made_lines).encode(), "made")


@pytest.fixture(scope="module")
def split(made: Dataset) -> Split:
    return made.split(0)


@pytest.mark.parametrize(
    ("model", "parameters", "activations"),
    [(networks.build_simple(), 138, ["sigmoid"]), (networks.build_hidden(), 2274, ["relu", "softmax"])],
    ids=["simple", "hidden"],
)
def test_architecture_is_the_notebooks(model: keras.Sequential, parameters: int, activations: list[str]) -> None:
    assert model.count_params() == parameters
    assert model.input_shape == (None, 68)
    assert [layer.activation for layer in networks.export(model).layers] == activations
    assert networks.export(model).parameter_count == parameters


def test_hidden_network_keeps_epoch_40_of_more(made: Dataset, split: Split) -> None:
    forty = networks.fit_hidden(made, split, epochs=40, seed=0)
    more = networks.fit_hidden(made, split, epochs=43, seed=0)
    assert (forty.kept_epoch, more.kept_epoch) == (40, 40)
    assert len(more.history["val_loss"]) == 43
    validation = networks.predict(more.model, made.features[split.validation])
    loss = evaluate.log_loss(validation, made.north_of_20[split.validation])
    assert loss == pytest.approx(more.history["val_loss"][39], rel=1e-5)
    assert loss != pytest.approx(more.history["val_loss"][38], rel=1e-5)
    for first, second in zip(forty.model.get_weights(), more.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_hidden_network_keeps_the_last_of_fewer_epochs(made: Dataset, split: Split) -> None:
    assert networks.fit_hidden(made, split, epochs=2, seed=0).kept_epoch == 2


def test_training_is_seeded_and_learns(made: Dataset, split: Split) -> None:
    first, second, other = (networks.fit_simple(made, split, epochs=30, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.model.get_weights()[0], second.model.get_weights()[0])
    assert not np.array_equal(first.model.get_weights()[0], other.model.get_weights()[0])
    assert first.history["loss"][-1] < first.history["loss"][0]
    assert first.kept_epoch == 30


@pytest.mark.parametrize("build", [networks.build_simple, networks.build_hidden])
def test_exported_and_saved_networks_give_keras_probabilities(build: networks.Build, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = build()
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    features = np.random.default_rng(5).normal(0, 3, size=(500, 68))
    probabilities = networks.predict(model, features)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(networks.export(model).predict(features), probabilities, atol=1e-6)

    networks.save(model, tmp_path / "saved.keras")
    assert list(tmp_path.iterdir()) == [tmp_path / "saved.keras"]
    loaded = keras.saving.load_model(tmp_path / "saved.keras")
    np.testing.assert_array_equal(networks.predict(loaded, features), probabilities)
    assert not loaded.compiled


@pytest.mark.parametrize("name", ["simple", "hidden"])
def test_committed_keras_files_hold_the_weights_of_the_bundle(bundle: ModelBundle, name: str) -> None:
    model = keras.saving.load_model(DEFAULT_BUNDLE.with_name(f"{name}.keras"))
    for exported, layer in zip(networks.export(model).layers, bundle.networks[name].layers, strict=True):
        np.testing.assert_array_equal(exported.kernel, layer.kernel)
        np.testing.assert_array_equal(exported.bias, layer.bias)
        assert exported.activation == layer.activation
