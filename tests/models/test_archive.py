import dataclasses
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.archive import MAX_BUNDLE_BYTES, BundleError, load_bundle, save_bundle
from models.bundle import ModelBundle
from tests.bundles import altered, change_manifest


@pytest.fixture
def path(tmp_path: Path, bundle: ModelBundle) -> Path:
    path = tmp_path / "bundle.npz"
    save_bundle(bundle, path)
    return path


def test_saved_bundle_loads_as_it_was(path: Path, bundle: ModelBundle) -> None:
    loaded = load_bundle(path)
    assert loaded.manifest == bundle.manifest
    assert loaded.fingerprint == bundle.fingerprint
    assert loaded.version == bundle.fingerprint[:12]
    features = np.random.default_rng(3).normal(size=(20, 68))
    np.testing.assert_array_equal(loaded.genres.distances(features), bundle.genres.distances(features))
    for name, network in bundle.networks.items():
        np.testing.assert_array_equal(loaded.networks[name].predict(features), network.predict(features))


def test_saving_twice_gives_the_same_bytes(path: Path, bundle: ModelBundle) -> None:
    first = path.read_bytes()
    save_bundle(bundle, path)
    assert path.read_bytes() == first
    assert list(path.parent.iterdir()) == [path]


def test_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none\.npz cannot be read \(No such file or directory\)"):
        load_bundle(tmp_path / "none.npz")


@pytest.mark.parametrize("name", ["centroids", "simple/0/bias", "hidden/1/kernel", "places/0/kernel"])
def test_altered_array_is_refused(path: Path, name: str) -> None:
    with np.load(path) as saved:
        array = saved[name]
    array.flat[0] += 1e-3
    altered(path, **{name: array})
    with pytest.raises(BundleError, match="altered after training"):
        load_bundle(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("centroids", np.zeros((9, 68))),
        ("centroids", np.zeros((10, 67))),
        ("centroids", np.full((10, 68), np.nan)),
        ("centroids", np.zeros((10, 68), np.complex64)),
        ("hidden/0/kernel", np.zeros((68, 31), np.float32)),
        ("hidden/1/bias", None),
        ("simple/0/bias", np.zeros((1, 2), np.float32)),
        ("places/0/bias", np.zeros((4, 256), np.float32)),
        ("places/0/bias", np.zeros((0, 256), np.float32)),
        ("places/0/bias", np.zeros((5, 1, 256), np.float32)),
        ("places/1/kernel", np.zeros((5, 255, 33), np.float32)),
        ("places/1/bias", np.zeros((5, 32), np.float32)),
        ("manifest", None),
        ("manifest", np.frombuffer(b"{", np.uint8)),
        ("manifest", np.frombuffer(b"[]", np.uint8)),
        ("manifest", np.frombuffer(b'{"format_version": 4}', np.uint8)),
        ("surplus", np.zeros(3)),
    ],
)
def test_mismatched_content_is_refused(path: Path, name: str, array: Any) -> None:
    altered(path, **{name: array})
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("activations", [("tanh", "softmax"), ("relu", "linear"), ()])
def test_activations_that_cannot_be_served_are_refused(
    path: Path, bundle: ModelBundle, activations: tuple[str, ...]
) -> None:
    hidden = dataclasses.replace(bundle.manifest.networks["hidden"], activations=activations)
    networks = {**bundle.manifest.networks, "hidden": hidden}
    save_bundle(dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, networks=networks)), path)
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("names", [["simple", "hidden"], ["hidden", "places"], []])
def test_bundle_without_a_network_is_refused(path: Path, bundle: ModelBundle, names: list[str]) -> None:
    manifest = dataclasses.replace(bundle.manifest, networks={name: bundle.manifest.networks[name] for name in names})
    networks = {name: bundle.networks[name] for name in names}
    save_bundle(dataclasses.replace(bundle, networks=networks, manifest=manifest), path)
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), "1", None])
def test_temperature_that_cannot_calibrate_is_refused(path: Path, temperature: Any) -> None:
    change_manifest(path, lambda manifest: manifest["networks"]["hidden"].update(temperature=temperature))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


ASCENDING = [each / 10 for each in range(101)]
ACCURACIES = {"simple": 0.0, "hidden": 0.7, "places": 0.8, "majority": 1.0}


@pytest.mark.parametrize(
    "quantiles",
    [
        ASCENDING[1:],
        [*ASCENDING, 11.0],
        ASCENDING[::-1],
        [*ASCENDING[:-1], float("inf")],
        [float("nan"), *ASCENDING[1:]],
        [str(each) for each in ASCENDING],
        3.0,
    ],
)
def test_quantiles_that_are_none_are_refused(path: Path, quantiles: Any) -> None:
    change_manifest(path, lambda manifest: manifest["genres"][9].update(distance_quantiles=quantiles))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize(
    "usual", [[3.0], [1.0, 2.0, 3.0], [3.0, 2.0], [1.0, float("inf")], [float("nan"), 1.0], ["1", "2"]]
)
def test_usual_distances_that_are_none_are_refused(path: Path, usual: Any) -> None:
    change_manifest(path, lambda manifest: manifest.update(usual_distances=usual))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("field", ["accuracy_known_places", "accuracy_unseen_places"])
@pytest.mark.parametrize(
    "accuracies",
    [
        {"simple": 0.7, "hidden": 0.7, "places": 0.7},
        ACCURACIES | {"other": 0.7},
        ACCURACIES | {"places": -0.1},
        ACCURACIES | {"places": 1.1},
        ACCURACIES | {"places": float("nan")},
        ACCURACIES | {"places": "0.7"},
        ACCURACIES | {"places": True},
        ACCURACIES | {"places": None},
        [0.7, 0.7, 0.7, 0.7],
        [],
        None,
    ],
)
def test_accuracies_that_are_none_are_refused(path: Path, field: str, accuracies: Any) -> None:
    change_manifest(path, lambda manifest: manifest.update({field: accuracies}))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("field", ["accuracy_known_places", "accuracy_unseen_places", "genres"])
def test_manifest_without_a_part_is_refused(path: Path, field: str) -> None:
    change_manifest(path, lambda manifest: manifest.pop(field))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


PLACE = {"country": "Japan", "latitude": 35.7, "longitude": 139.71, "share": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": 1060},
        {"size": 3.5},
        {"size": "3"},
        {"share_north_of_20": 1.1},
        {"share_north_of_20": "1"},
        {"places": [PLACE | {"share": 1.1}]},
        {"places": [PLACE | {"latitude": 90.1}]},
        {"places": [PLACE | {"latitude": float("nan")}]},
        {"places": [PLACE | {"longitude": -180.1}]},
        {"places": [PLACE | {"longitude": "139"}]},
        {"places": [PLACE | {"country": 81}]},
        {"places": [{"country": "Japan"}]},
        {"places": 3},
        {"distinctive_features": [{"feature": 0, "z_score": 1.0}]},
        {"distinctive_features": [{"feature": 69, "z_score": 1.0}]},
        {"distinctive_features": [{"feature": 1.5, "z_score": 1.0}]},
        {"distinctive_features": [{"feature": "1", "z_score": 1.0}]},
        {"distinctive_features": [{"feature": 1, "z_score": float("inf")}]},
        {"distinctive_features": [{"feature": 1, "z_score": "1"}]},
        {"distinctive_features": [{"feature": 1, "z_score": None}]},
        {"distinctive_features": [[1, 1.0]]},
        {"distinctive_features": None},
        {"more": 1},
    ],
)
def test_genre_that_cannot_be_told_is_refused(path: Path, change: dict[str, Any]) -> None:
    change_manifest(path, lambda manifest: manifest["genres"][9].update(change))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


@pytest.mark.parametrize("change", [{"share": -0.1}, {"latitude": -91.0}, {"longitude": 181.0}, {"country": 81}])
def test_place_that_cannot_be_told_is_refused(path: Path, change: dict[str, Any]) -> None:
    change_manifest(path, lambda manifest: manifest["places"][32].update(change))
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


SOUND_GENRE = {
    "size": 1059,
    "share_north_of_20": 0.0,
    "places": [PLACE | {"country": None, "latitude": -90.0, "longitude": 180.0}],
    "distinctive_features": [{"feature": 1, "z_score": -1e9}, {"feature": 68, "z_score": 0.0}],
    "distance_quantiles": ASCENDING,
}


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["genres"][9].update(SOUND_GENRE),
        lambda manifest: manifest.update(accuracy_known_places=ACCURACIES, accuracy_unseen_places=ACCURACIES),
        lambda manifest: manifest.update(accuracy_known_places={}, accuracy_unseen_places={}),
    ],
)
def test_manifest_changed_to_other_sound_content_is_altered(
    path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    """So it is what is wrong with the content above that is found, and not the change alone."""
    change_manifest(path, change)
    with pytest.raises(BundleError, match="altered after training"):
        load_bundle(path)


def test_bundle_that_was_not_evaluated_loads(path: Path, bundle: ModelBundle) -> None:
    manifest = dataclasses.replace(bundle.manifest, accuracy_known_places={}, accuracy_unseen_places={})
    save_bundle(dataclasses.replace(bundle, manifest=manifest), path)
    assert load_bundle(path).manifest == manifest


def test_places_must_be_as_many_as_the_network_has_classes(path: Path, bundle: ModelBundle) -> None:
    manifest = dataclasses.replace(bundle.manifest, places=bundle.manifest.places[1:])
    save_bundle(dataclasses.replace(bundle, manifest=manifest), path)
    with pytest.raises(BundleError, match="is not a complete model bundle"):
        load_bundle(path)


def test_other_format_version_is_named(path: Path) -> None:
    altered(path, manifest=np.frombuffer(b'{"format_version": 99}', np.uint8))
    with pytest.raises(BundleError, match="format 99, and this release reads 4"):
        load_bundle(path)


def test_pickle_is_never_loaded(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("echo harm",)

    altered(path, centroids=np.array([Harm()], dtype=object))
    with pytest.raises(BundleError):
        load_bundle(path)
    assert "harm" not in capfd.readouterr().out


def test_zip_bomb_is_refused_unread(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.npy", bytes(MAX_BUNDLE_BYTES + 1))
    assert path.stat().st_size < MAX_BUNDLE_BYTES / 100
    with pytest.raises(BundleError, match="is larger than 64 MiB"):
        load_bundle(path)


def test_failed_save_leaves_the_old_bundle_and_nothing_else(
    path: Path, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = path.read_bytes()

    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_bundle(bundle, path)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
