"""What would be applied: each manifest by the schemas of a current Kubernetes, and all as kustomize builds them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from service.app import VERSION
from tests.conftest import ROOT, Require
from tests.deploy import custom_resources
from tests.deploy.conftest import Kustomize
from tests.deploy.manifests import (
    COMPONENTS,
    FOLDERS,
    KUBERNETES,
    KUSTOMIZATION,
    RESOURCES,
    Manifest,
    container_of,
    load,
    named,
    settings_of,
)

SECRETS = {"api-keys": "first-key\nsecond-key\n", "monitoring/metrics-key": "key-of-prometheus"}
NAME = "music-origin"


def validate(manifest: Manifest) -> None:
    """Raises one of REFUSALS."""
    if manifest["kind"] in custom_resources.SCHEMAS:
        custom_resources.validate(manifest)
    else:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


REFUSALS = (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, jsonschema_rs.ValidationError)


@pytest.mark.parametrize("path", RESOURCES, ids=named)
def test_manifest_is_one_that_kubernetes_takes(path: Path) -> None:
    validate(load(path))


MISTAKES: dict[str, Callable[[Manifest], Any]] = {
    "another version": lambda manifest: manifest.update(apiVersion="example.org/v1"),
    "another kind": lambda manifest: manifest.update(kind="Deploymnet"),
    "a field that there is not": lambda manifest: manifest["spec"].update(replica=2),
    "another type": lambda manifest: manifest.update(spec=[]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("path", RESOURCES, ids=named)
def test_mistake_would_be_seen(path: Path, mistake: str) -> None:
    manifest = load(path)
    MISTAKES[mistake](manifest)
    with pytest.raises(REFUSALS):
        validate(manifest)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kustomization_lists_every_manifest(folder: Path) -> None:
    kustomization = load(folder / KUSTOMIZATION)
    listed = [*kustomization["resources"], *(patch["path"] for patch in kustomization.get("patches", ()))]
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.yaml") if path.name != KUSTOMIZATION)


@pytest.fixture
def with_components(tmp_path: Path) -> Path:
    """The folder with both components switched on, and with keys."""
    folder = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, folder)
    text = (folder / KUSTOMIZATION).read_text()
    switched_on = re.sub(r"^# (components:|  - \w+)$", r"\1", text, flags=re.MULTILINE)
    (folder / KUSTOMIZATION).write_text(switched_on)
    assert yaml.safe_load(switched_on)["components"] == list(COMPONENTS)
    for name, keys in SECRETS.items():
        (folder / name).write_text(keys)
    return folder


def built(kustomize: Kustomize, folder: Path) -> dict[tuple[str, str], Manifest]:
    """All that would be applied, by kind and name; every one is valid."""
    run = kustomize(folder)
    assert run.returncode == 0, run.stderr
    manifests: list[Manifest] = [*yaml.safe_load_all(run.stdout)]
    for manifest in manifests:
        validate(manifest)
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_is_applied_without_keys_of_ones_own(kustomize: Kustomize, with_components: Path, missing: str) -> None:
    (with_components / missing).unlink()
    run = kustomize(with_components)
    assert run.returncode != 0
    assert Path(missing).name in run.stderr
    assert not run.stdout


def test_keys_are_never_in_git(require: Require) -> None:
    require(shutil.which("git") and (ROOT / ".git").exists(), "this is no clone")
    for name in SECRETS:
        path = KUBERNETES / name
        subprocess.run(["git", "check-ignore", "--quiet", str(path)], cwd=ROOT, check=True)
        tracked = subprocess.run(["git", "ls-files", str(path)], cwd=ROOT, check=True, capture_output=True)
        assert not tracked.stdout


def test_what_is_applied(kustomize: Kustomize, with_components: Path) -> None:
    whole = built(kustomize, with_components)
    (secret,) = [name for kind, name in whole if kind == "Secret" and name.startswith("music-origin-keys-")]
    pod = whole["Deployment", NAME]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["secret"]["secretName"] == secret
    assert container_of(pod)["image"] == f"registry.example.org/music-origin:{VERSION}"
    assert settings_of(container_of(pod)).keys() > {"MUSIC_ORIGIN_API_KEY", "MUSIC_ORIGIN_API_KEY_FILE"}
    (endpoint,) = whole["ServiceMonitor", NAME]["spec"]["endpoints"]
    (given,) = [each["valueFrom"] for each in container_of(pod)["env"] if each["name"] == "MUSIC_ORIGIN_API_KEY"]
    assert given["secretKeyRef"] == endpoint["authorization"]["credentials"]
    assert ("Secret", given["secretKeyRef"]["name"]) in whole
    assert len(whole) == len(RESOURCES) + len(SECRETS)
    (with_components / "api-keys").write_text("third-key")
    assert ("Secret", secret) not in built(kustomize, with_components)  # so the pods are replaced


def test_without_components_there_is_only_what_every_cluster_knows(kustomize: Kustomize, with_components: Path) -> None:
    shutil.copy(KUBERNETES / KUSTOMIZATION, with_components)
    kinds = sorted(kind for kind, _ in built(kustomize, with_components))
    assert kinds == [
        "Deployment",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
    ]
