"""The alert rules by Prometheus's own tool, and each number in them by where it comes from."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from models.bundle import ModelBundle
from service.metrics import SECONDS
from tests.conftest import Require
from tests.deploy.manifests import DEPLOY, KUBERNETES, container_of, load
from training.dataset import Dataset

PROMETHEUS, PROXY = DEPLOY / "prometheus", DEPLOY / "proxy"
RULES = PROMETHEUS / "rules.yml"
TESTS = [Path(__file__).with_name(name) for name in ("rules_test.yml", "rules_days_test.yml")]
ALERTS = {rule["alert"]: rule for group in load(RULES)["groups"] for rule in group["rules"] if "alert" in rule}
FEWEST_PIECES = 1000
GENRES_MOST, NORTH_MOST = 0.2, 0.15
DAYS = 10_000


@pytest.fixture(scope="session")
def promtool(require: Require) -> str:
    found = shutil.which("promtool")
    require(found, "promtool is not installed")
    return str(found)


def test_rules_and_scrape_example_are_sound(promtool: str) -> None:
    subprocess.run([promtool, "check", "rules", RULES], check=True)
    subprocess.run([promtool, "check", "config", PROMETHEUS / "prometheus.yml"], check=True)


def test_scrape_example_of_the_proxy_is_sound(promtool: str, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", (PROXY / "README.md").read_text(), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(example)
    subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], check=True)
    replicas, proxy = load(tmp_path / "prometheus.yml")["scrape_configs"]
    (ports,) = re.findall(r"PORTS:-([\d ]+)", (PROXY / "rollout").read_text())
    (metrics,) = re.findall(r"METRICS \S+:(\d+)", (PROXY / "haproxy.cfg").read_text())
    assert replicas["static_configs"] == [
        {"targets": [f"localhost:{port}" for port in ports.split()], "labels": {"behind": "proxy"}}
    ]
    assert proxy["static_configs"] == [{"targets": [f"localhost:{metrics}"]}]
    assert f'up{{job="{replicas["job_name"]}", behind="proxy"}}' in ALERTS["MusicOriginReplicaDown"]["expr"]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_come_when_they_should_and_only_then(promtool: str, path: Path) -> None:
    run = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_is_seen_to_come() -> None:
    seen = re.findall(r'alertname="(\w+)"', "".join(path.read_text() for path in TESTS))
    assert {*seen} == {*ALERTS}
    groups = [group["name"] for group in load(RULES)["groups"]]
    assert all(load(path)["group_eval_order"] == groups for path in TESTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_says_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert rule["annotations"].keys() == {"summary", "description"}
    assert rule["annotations"]["description"].count(". ") >= 1  # what it is, and what to do
    assert rule["annotations"]["summary"].count(".") >= 1


def test_limits_are_those_of_the_deployment_and_of_the_service() -> None:
    container = container_of(load(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"])
    memory = int(container["resources"]["limits"]["memory"].removesuffix("M"))
    assert f"> 0.9 * {memory}e6" in ALERTS["MusicOriginMemoryNearLimit"]["expr"]
    buckets = [float(bound) for bound in re.findall(r'le="([\d.]+)"', RULES.read_text())]
    assert {*buckets} == {0.1}
    assert {*buckets} <= {*SECONDS}


def test_chance_brings_no_alert_of_genres(bundle: ModelBundle) -> None:
    """The distances that the rules' comment names, and the one at which the alert comes, over so many made days."""
    shares = np.array([genre.size / bundle.manifest.rows for genre in bundle.manifest.genres])
    generator = np.random.default_rng(0)

    def distance_of_one_day_in_all(pieces: int) -> float:
        drawn = generator.multinomial(pieces, shares, 10 * DAYS) / pieces
        return float(np.quantile(np.abs(drawn - shares).sum(axis=1) / 2, 1 - 1 / DAYS))

    assert round(distance_of_one_day_in_all(FEWEST_PIECES), 2) == 0.08
    assert round(distance_of_one_day_in_all(FEWEST_PIECES // 5), 2) == 0.17 < GENRES_MOST
    expression = ALERTS["MusicOriginGenresDrift"]["expr"]
    assert f"> {GENRES_MOST}" in expression
    assert f">= {FEWEST_PIECES}" in expression


def test_chance_brings_no_alert_of_north(bundle: ModelBundle, dataset: Dataset) -> None:
    share = bundle.manifest.rows_north_of_20 / bundle.manifest.rows
    answered = {name: (bundle.north_of_20(name, dataset.features) > 0.5).mean() for name in bundle.networks}
    own = max(abs(each - share) for each in answered.values())
    drawn = np.random.default_rng(0).binomial(FEWEST_PIECES, share, 10 * DAYS) / FEWEST_PIECES
    chance = float(np.quantile(np.abs(drawn - share), 1 - 1 / DAYS))
    assert (round(own, 2), round(chance, 2)) == (0.04, 0.06)
    assert own + chance < NORTH_MOST
    expression = ALERTS["MusicOriginNorthDrifts"]["expr"]
    assert f"> {NORTH_MOST}" in expression
    assert f">= {FEWEST_PIECES}" in expression
