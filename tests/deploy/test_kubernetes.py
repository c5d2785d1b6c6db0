"""The manifests against the schemas of a current Kubernetes, each other, the image and the service."""

import copy
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from benchmarks.replicas import capacity
from service.__main__ import arguments
from service.app import VERSION
from tests.conftest import ROOT, Require
from tests.deploy import custom_resources
from tests.deploy.conftest import Kustomize
from tests.deploy.manifests import (
    KUBERNETES,
    KUSTOMIZATION,
    LAST_BATCHES_SECONDS,
    Manifest,
    assert_confined,
    assert_stops_in_time,
    container_of,
    load,
    resources,
    settings_of,
)

COMPONENTS = ("ingress", "monitoring")
FOLDERS = [KUBERNETES, *(KUBERNETES / name for name in COMPONENTS)]
RESOURCES = [path for folder in FOLDERS for path in resources(folder)]
SECRETS = {"api-keys": "first-key\nsecond-key\n", "monitoring/metrics-key": "key-of-prometheus"}
NAME = "music-origin"
LABELS = {"app.kubernetes.io/name": NAME}


def validate(manifest: Manifest) -> None:
    """Raises one of REFUSALS."""
    if manifest["kind"] in custom_resources.SCHEMAS:
        custom_resources.validate(manifest)
    else:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


REFUSALS = (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, jsonschema_rs.ValidationError)


@pytest.fixture
def deployment() -> Manifest:
    return load(KUBERNETES / "deployment.yaml")


@pytest.fixture
def pod(deployment: Manifest) -> Manifest:
    return dict(deployment["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: Manifest) -> Manifest:
    return container_of(pod)


def named(path: Path) -> str:
    return str(path.relative_to(KUBERNETES))


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


def test_all_select_the_pods(deployment: Manifest) -> None:
    manifests = {named(path): load(path) for path in RESOURCES}
    spec = deployment["spec"]
    assert spec["template"]["metadata"]["labels"] == LABELS
    assert all(manifest["metadata"]["labels"] == LABELS for manifest in manifests.values())
    selectors = [
        spec["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in spec["template"]["spec"]["topologySpreadConstraints"]),
        manifests["service.yaml"]["spec"]["selector"],
        manifests["disruption_budget.yaml"]["spec"]["selector"]["matchLabels"],
        manifests["monitoring/service_monitor.yaml"]["spec"]["selector"]["matchLabels"],
        *(
            manifest["spec"]["podSelector"]["matchLabels"]
            for manifest in manifests.values()
            if manifest["kind"] == "NetworkPolicy"
        ),
    ]
    assert selectors == [LABELS] * 9
    scaled = manifests["autoscaler.yaml"]["spec"]["scaleTargetRef"]
    assert scaled == {key: deployment[key] for key in ("apiVersion", "kind")} | {"name": deployment["metadata"]["name"]}


def test_all_reach_the_port_that_the_service_listens_at(container: Manifest) -> None:
    (port,) = container["ports"]
    command = container["command"]
    assert port == {"name": "http", "containerPort": int(command[command.index("--port") + 1])}
    service = load(KUBERNETES / "service.yaml")
    (service_port,) = service["spec"]["ports"]
    assert service_port["targetPort"] == service_port["name"] == port["name"]
    for path in RESOURCES:
        if path.name == "network_policy.yaml":
            (rule,) = load(path)["spec"]["ingress"]
            assert rule["ports"] == [{"port": port["name"]}]
    (endpoint,) = load(KUBERNETES / "monitoring" / "service_monitor.yaml")["spec"]["endpoints"]
    assert endpoint["port"] == service_port["name"]
    (rule,) = load(KUBERNETES / "ingress" / "ingress.yaml")["spec"]["rules"]
    (path_,) = rule["http"]["paths"]
    backend = path_["backend"]["service"]
    assert backend == {"name": service["metadata"]["name"], "port": {"name": service_port["name"]}}


def test_command_is_that_of_the_image_and_outlives_idle_proxies(container: Manifest) -> None:
    (of_image,) = re.findall(r"^CMD (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    command = container["command"]
    assert shlex.join(command[:-2]) == shlex.join(yaml.safe_load(of_image))
    options = arguments().parse_args(command[3:])
    assert options.timeout_keep_alive > 60
    assert options.timeout_graceful_shutdown == LAST_BATCHES_SECONDS
    assert options.workers == 1  # or there would have to be a /tmp, and the process's own figures would be missing


def test_probes_ask_what_the_service_answers(client: httpx.Client, container: Manifest) -> None:
    paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    live, ready = ({"path": f"/health/{what}", "port": "http"} for what in ("live", "ready"))
    assert paths == {"startup": live, "liveness": live, "readiness": ready}
    for probe in paths.values():
        assert client.get(probe["path"]).status_code == 200
    (endpoint,) = load(KUBERNETES / "monitoring" / "service_monitor.yaml")["spec"]["endpoints"]
    assert client.get(endpoint["path"]).status_code == 200


def test_network_lets_in_whom_it_should_and_nobody_out() -> None:
    """By all policies together, for each adds to the others."""
    specs = {named(path): load(path)["spec"] for path in RESOURCES if path.name == "network_policy.yaml"}
    assert specs.pop("network_policy.yaml") == {
        "podSelector": {"matchLabels": LABELS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": "http"}]}],
        "egress": [],
    }
    assert specs == {
        f"{component}/network_policy.yaml": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": component}}}],
                    "ports": [{"port": "http"}],
                }
            ],
        }
        for component in COMPONENTS
    }


def test_pod_has_no_rights(pod: Manifest) -> None:
    assert_confined(pod)


def test_pod_is_told_to_stop_and_waited_for(pod: Manifest) -> None:
    assert_stops_in_time(pod)
    less = copy.deepcopy(pod)
    less["terminationGracePeriodSeconds"] -= 1
    with pytest.raises(AssertionError):
        assert_stops_in_time(less)


def test_keys_are_read_from_the_secret(pod: Manifest) -> None:
    container = container_of(pod)
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    (generated,) = load(KUBERNETES / KUSTOMIZATION)["secretGenerator"]
    assert volume["name"] == mount["name"]
    assert volume["secret"]["secretName"] == generated["name"]
    assert volume["secret"]["optional"] is False
    (file,) = generated["files"]
    assert settings_of(container)["MUSIC_ORIGIN_API_KEY_FILE"] == f"{mount['mountPath']}/{file}"


def test_one_pod_more_is_there_before_one_is_taken_away(deployment: Manifest) -> None:
    assert "replicas" not in deployment["spec"]  # the autoscaler has that
    assert load(KUBERNETES / "autoscaler.yaml")["spec"]["minReplicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert load(KUBERNETES / "disruption_budget.yaml")["spec"]["maxUnavailable"] == 1


def test_autoscaler_is_that_of_the_benchmark(container: Manifest) -> None:
    spec = load(KUBERNETES / "autoscaler.yaml")["spec"]
    (metric,) = spec["metrics"]
    target = metric["resource"]["target"]
    assert container["resources"]["requests"]["cpu"] == "1"
    assert target == {"type": "Utilization", "averageUtilization": round(100 * capacity.UTILISATION)}
    text = (ROOT / "benchmarks" / "REPLICAS.md").read_text()
    assert f"a target of {target['averageUtilization']}% of a request of one core" in " ".join(text.split())
    (limits,) = re.findall(r"\| autoscaler: least, most \|(.*)\|", text)
    for_rates = dict(zip(capacity.RATES, limits.split("|"), strict=True))
    assert for_rates[100_000].strip() == "{minReplicas}, {maxReplicas}".format(**spec)


def test_memory_is_what_the_readme_measured(container: Manifest) -> None:
    readme = (ROOT / "README.md").read_text()
    (least,) = re.findall(r"A worker takes (\d+) MB", readme)
    (most,) = re.findall(r"(\d+) MB for each worker: the most", readme)
    resources = container["resources"]
    assert resources["limits"]["memory"] == f"{most}M"
    assert int(least) < int(resources["requests"]["memory"].removesuffix("M")) < int(most)
