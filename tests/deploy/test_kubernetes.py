"""The manifests against each other, the image and the service."""

import copy
import re
import shlex

import httpx
import pytest
import yaml

from benchmarks.replicas import capacity
from service.__main__ import arguments
from tests.conftest import ROOT
from tests.deploy.manifests import (
    COMPONENTS,
    KUBERNETES,
    KUSTOMIZATION,
    LAST_BATCHES_SECONDS,
    RESOURCES,
    Manifest,
    assert_confined,
    assert_stops_in_time,
    container_of,
    load,
    named,
    settings_of,
)

LABELS = {"app.kubernetes.io/name": "music-origin"}


@pytest.fixture
def deployment() -> Manifest:
    return load(KUBERNETES / "deployment.yaml")


@pytest.fixture
def pod(deployment: Manifest) -> Manifest:
    return dict(deployment["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: Manifest) -> Manifest:
    return container_of(pod)


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
