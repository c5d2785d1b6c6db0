"""The manifests, as Kubernetes would read them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from service.settings import ENVIRONMENT_PREFIX, Settings
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATION = "kustomization.yaml"
LAST_BATCHES_SECONDS = 8  # the service's --timeout-graceful-shutdown
SLACK_SECONDS = 2

COMPONENTS = ("ingress", "monitoring")
FOLDERS = [KUBERNETES, *(KUBERNETES / name for name in COMPONENTS)]

Manifest = dict[str, Any]


def load(path: Path) -> Manifest:
    """The one document in a file."""
    manifest: Manifest = yaml.safe_load(path.read_text())
    return manifest


def resources(folder: Path) -> Iterator[Path]:
    """The manifests that a kustomization lists."""
    for name in load(folder / KUSTOMIZATION)["resources"]:
        yield folder / name


RESOURCES = [path for folder in FOLDERS for path in resources(folder)]


def named(path: Path) -> str:
    """A manifest of Kubernetes, by its path there."""
    return str(path.relative_to(KUBERNETES))


def container_of(pod: Manifest) -> Manifest:
    """The only container of a pod."""
    (container,) = pod["containers"]
    return dict(container)


def settings_of(container: Manifest) -> dict[str, str]:
    """The settings that a container is started with, each of which the service must have."""
    settings = {each["name"]: str(each.get("value")) for each in container["env"]}
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert settings.keys() <= known
    return settings


def assert_confined(pod: Manifest) -> None:
    """The pod has what Kubernetes' restricted profile asks for and more, and is the image's user."""
    user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
    assert pod["securityContext"] == user | {"seccompProfile": {"type": "RuntimeDefault"}}
    assert container_of(pod)["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "USER 10001:10001" in (ROOT / "Dockerfile").read_text().splitlines()
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & pod.keys()


def assert_stops_in_time(pod: Manifest) -> None:
    """Kubernetes waits for all that the service does once it is told to stop, and before."""
    container = container_of(pod)
    drain = float(settings_of(container)["MUSIC_ORIGIN_DRAIN_SECONDS"])
    before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod["terminationGracePeriodSeconds"] >= before + drain + LAST_BATCHES_SECONDS + SLACK_SECONDS
    probe = container["readinessProbe"]
    unseen = probe["periodSeconds"] * probe["failureThreshold"]  # by whoever asks as the probe does
    assert drain >= unseen + SLACK_SECONDS
