"""KServe's manifests against its definitions, the schemas of Kubernetes, and those for Kubernetes alone."""

from collections.abc import Callable
from typing import Any

import httpx
import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from models.bundle import FORMAT_VERSION
from service.app import VERSION
from tests.deploy import custom_resources
from tests.deploy.conftest import Kustomize
from tests.deploy.manifests import (
    DEPLOY,
    KUBERNETES,
    KUSTOMIZATION,
    Manifest,
    assert_confined,
    assert_stops_in_time,
    container_of,
    load,
    resources,
)

KSERVE = DEPLOY / "kserve"
RUNTIME, SERVICE = KSERVE / "serving_runtime.yaml", KSERVE / "inference_service.yaml"
MISTAKES: dict[str, Callable[[Manifest], Any]] = {
    "another version": lambda manifest: manifest.update(apiVersion="serving.kserve.io/v1"),
    "a field that there is not": lambda manifest: manifest["spec"].update(protocolVersion=["v2"]),
    "a protocol that there is not": lambda manifest: manifest["spec"].update(protocolVersions=["v3"]),
}


@pytest.fixture
def deployment() -> Manifest:
    """The Deployment that KServe makes of both, as far as they say what is in it."""
    predictor, runtime = load(SERVICE)["spec"]["predictor"], load(RUNTIME)["spec"]
    pod = {name: predictor[name] for name in custom_resources.POD_FIELDS} | {"containers": runtime["containers"]}
    labels = {"app": "music-origin"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "music-origin"},
        "spec": {
            "selector": {"matchLabels": labels},
            "strategy": predictor["deploymentStrategy"],
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def pod_of(deployment: Manifest) -> Manifest:
    return dict(deployment["spec"]["template"]["spec"])


def test_manifests_are_what_kserve_takes() -> None:
    assert [*resources(KSERVE)] == [RUNTIME, SERVICE]
    for path in resources(KSERVE):
        custom_resources.validate(load(path))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_would_be_seen(mistake: str) -> None:
    manifest = load(RUNTIME)
    MISTAKES[mistake](manifest)
    with pytest.raises(jsonschema_rs.ValidationError):
        custom_resources.validate(manifest)


def test_what_comes_of_them_is_what_kubernetes_takes(deployment: Manifest) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(deployment, version, strict=True)
    container_of(pod_of(deployment))["readinessProbe"]["httpGet"]["ports"] = 8000
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, version, strict=True)


def test_image_is_named_for_kustomize(kustomize: Kustomize) -> None:
    run = kustomize(KSERVE)
    assert run.returncode == 0, run.stderr
    built = {manifest["kind"]: manifest for manifest in yaml.safe_load_all(run.stdout)}
    image = container_of(built["ServingRuntime"]["spec"])["image"]
    assert image == f"registry.example.org/music-origin:{VERSION}"
    assert built.keys() == {"ServingRuntime", "InferenceService"}
    listed = [KUSTOMIZATION, *load(KSERVE / KUSTOMIZATION)["configurations"], RUNTIME.name, SERVICE.name]
    assert sorted(listed) == sorted(path.name for path in KSERVE.glob("*.yaml"))


def test_service_asks_for_the_runtime() -> None:
    runtime, model = load(RUNTIME), load(SERVICE)["spec"]["predictor"]["model"]
    (model_format,) = runtime["spec"]["supportedModelFormats"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] == model_format["name"]
    assert [model["protocolVersion"]] == runtime["spec"]["protocolVersions"]
    assert model_format["version"] == str(FORMAT_VERSION)
    assert container_of(runtime["spec"])["name"] == "kserve-container"  # which is how KServe finds it


def test_protocol_is_answered_at_the_port_and_paths(client: httpx.Client, deployment: Manifest) -> None:
    container = container_of(pod_of(deployment))
    (port,) = container["ports"]
    command = container["command"]
    assert port["containerPort"] == int(command[command.index("--port") + 1])
    for kind, path in (("startup", "live"), ("liveness", "live"), ("readiness", "ready")):
        probe = container[f"{kind}Probe"]["httpGet"]
        assert probe == {"path": f"/v2/health/{path}", "port": port["containerPort"]}
        assert client.get(probe["path"]).json()[path] is True
    annotations = load(RUNTIME)["spec"]["annotations"]
    assert annotations["prometheus.kserve.io/port"] == str(port["containerPort"])
    assert client.get(annotations["prometheus.kserve.io/path"]).status_code == 200
    for model in ("genre", "north-of-20"):
        assert client.get(f"/v2/models/{model}/ready").json() == {"name": model, "ready": True}


def test_pod_is_that_of_the_other_deployment(deployment: Manifest) -> None:
    pod, other = pod_of(deployment), load(KUBERNETES / "deployment.yaml")["spec"]
    assert_confined(pod)
    assert_stops_in_time(pod)
    assert pod["terminationGracePeriodSeconds"] == other["template"]["spec"]["terminationGracePeriodSeconds"]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == other["strategy"]["rollingUpdate"]
    ours, theirs = container_of(pod), container_of(other["template"]["spec"])
    for field in ("image", "command", "resources", "securityContext"):
        assert ours[field] == theirs[field]


def test_autoscaler_is_that_of_the_other_deployment() -> None:
    predictor, other = load(SERVICE)["spec"]["predictor"], load(KUBERNETES / "autoscaler.yaml")["spec"]
    (metric,) = other["metrics"]
    assert {name: predictor[name] for name in ("minReplicas", "maxReplicas")} == {
        name: other[name] for name in ("minReplicas", "maxReplicas")
    }
    assert predictor["scaleMetric"] == metric["resource"]["name"]
    assert predictor["scaleTarget"] == metric["resource"]["target"]["averageUtilization"]
