"""The commands of deploy/README.md, but for those that need a registry or a cluster, and its figures."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from service.app import VERSION
from tests.conftest import ROOT, Require
from tests.deploy.conftest import Kustomize
from tests.deploy.manifests import DEPLOY, KUBERNETES, Manifest, container_of, load
from tests.deploy.test_prometheus import TESTS

TEXT = (DEPLOY / "README.md").read_text()
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)).splitlines()
NEEDS_A_REGISTRY_OR_A_CLUSTER = (
    "make image ",
    "podman push ",
    *(f"kubectl {verb} " for verb in ("create", "label", "apply", "rollout", "get")),
)
RUN_ELSEWHERE = ("kubectl kustomize ", "promtool ")


def test_commands_run(require: Require, kustomize: Kustomize, tmp_path: Path) -> None:
    require(shutil.which("openssl"), "openssl is not installed")
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("api-keys", "metrics-key"))
    run = [command for command in COMMANDS if not command.startswith((*NEEDS_A_REGISTRY_OR_A_CLUSTER, *RUN_ELSEWHERE))]
    subprocess.run(["sh", "-e", "-c", "\n".join(run)], cwd=tmp_path, check=True)
    for key in ("api-keys", "monitoring/metrics-key"):
        assert re.fullmatch(r"[0-9a-f]{64}\n?", (tmp_path / "deploy" / "kubernetes" / key).read_text())
    rule: Manifest = yaml.safe_load((tmp_path / "build" / "rules.yaml").read_text())
    assert (rule["kind"], rule["spec"]) == ("PrometheusRule", load(DEPLOY / "prometheus" / "rules.yml"))
    folders = {match[1] for command in COMMANDS if (match := re.search(r"(?:-k|kustomize) (\S+)$", command))}
    assert folders == {"deploy/kubernetes", "deploy/kserve"}
    for folder in folders:
        assert kustomize(tmp_path / folder).returncode == 0
    assert len(run) == 5


def test_every_namespace_is_made_before_it_is_used() -> None:
    made: set[str] = set()
    for command in COMMANDS:
        made |= {*re.findall(r"create namespace (\S+)", command)}
        assert made >= {*re.findall(r" -n (\S+)", command)}
    assert len(made) == 2


def test_rules_are_checked_as_the_tests_do() -> None:
    checked = {ROOT / command.split()[-1] for command in COMMANDS if command.startswith("promtool ")}
    assert checked == {DEPLOY / "prometheus" / "prometheus.yml", *TESTS}


def test_image_has_the_name_that_is_built() -> None:
    (built,) = [command.partition("IMAGE=")[2] for command in COMMANDS if "IMAGE=" in command]
    for folder in (KUBERNETES, DEPLOY / "kserve"):
        (image,) = load(folder / "kustomization.yaml")["images"]
        assert f"{image['newName']}:{image['newTag']}" == built
    assert built.endswith(f":{VERSION}")


@pytest.fixture
def numbers() -> dict[str, str]:
    """The table of numbers."""
    table = TEXT.partition("| number |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| (.*?) \| (.*?) \| .* \|$", table, re.MULTILINE)[1:])


def test_numbers_are_those_of_the_manifests(numbers: dict[str, str]) -> None:
    deployment = load(KUBERNETES / "deployment.yaml")["spec"]
    pod = deployment["template"]["spec"]
    container = container_of(pod)
    autoscaler = load(KUBERNETES / "autoscaler.yaml")["spec"]
    load_target = autoscaler["metrics"][0]["resource"]["target"]
    resources, command = container["resources"], container["command"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")}
    times = {kind: "{failureThreshold} times {periodSeconds} s".format(**probe) for kind, probe in probes.items()}
    strategy = deployment["strategy"]["rollingUpdate"]
    assert numbers == {
        "processes in a pod": "1",
        "pods": "{minReplicas} to {maxReplicas}".format(**autoscaler),
        "`cpu` requested": resources["requests"]["cpu"],
        "load at which a pod is added": f"{load_target['averageUtilization']} % of that",
        "`cpu` at most": resources["limits"]["cpu"],
        "`memory` requested": resources["requests"]["memory"],
        "`memory` at most": resources["limits"]["memory"],
        "startup probe": times["startup"],
        "readiness, liveness": f"{times['readiness']}, {times['liveness']}",
        "drain": f"{environment['MUSIC_ORIGIN_DRAIN_SECONDS']} s",
        "grace": f"{pod['terminationGracePeriodSeconds']} s",
        "`--timeout-keep-alive`": f"{command[command.index('--timeout-keep-alive') + 1]} s",
        "replaced at a time": "{maxSurge} more, {maxUnavailable} fewer".format(**strategy),
        "lost at a time, by a drained node": str(load(KUBERNETES / "disruption_budget.yaml")["spec"]["maxUnavailable"]),
    }


def test_figures_are_those_that_were_measured() -> None:
    replicas, readme = (ROOT / "benchmarks" / "REPLICAS.md").read_text(), (ROOT / "README.md").read_text()
    (piece,) = re.findall(r"a piece takes ([\d.]+) µs of it", TEXT)
    assert f"at full load, {piece} µs of a replica" in " ".join(replicas.split())
    (rest,) = re.findall(r"A worker takes (\d+) MB at rest", TEXT)
    assert f"A worker takes {rest} MB" in readme
    (start,) = re.findall(r"comes ([\d.]+) s after the start", TEXT)
    assert f"comes {start} s after the start" in " ".join(readme.split())


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert targets
    for target in targets:
        assert (DEPLOY / target).exists()
