"""The dashboard, and all that it and the rules ask, put to a real Prometheus that watches a real service."""

import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import Require, RunServer, free_port
from tests.deploy.manifests import DEPLOY, load

PIECE = {"features": EXAMPLE_FEATURES}
TENSOR = {"inputs": [{"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}]}
KEY = "key-of-prometheus"
SCRAPES = 6
DASHBOARD = json.loads((DEPLOY / "grafana" / "music-origin.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = [rule for group in load(DEPLOY / "prometheus" / "rules.yml")["groups"] for rule in group["rules"]]
VARIABLES = {"$__rate_interval": "1m", "$job": "music-origin"}
NAMES = re.compile(r"\b(?:music_origin|process|job:music_origin)_[\w:]*|\w+(?=\{)")


def expressions() -> list[str]:
    """What every panel asks."""
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def in_full(expression: str) -> str:
    """An expression as Grafana would send it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def ask_all(client: httpx.Client) -> None:
    """Asks the service for each kind of prediction, and for what is none."""
    for path in ("/genre", "/origin", "/north-of-20"):
        client.post(path, json=PIECE).raise_for_status()
        client.post(f"{path}/batch", json={"features": [EXAMPLE_FEATURES] * 2}).raise_for_status()
    for network in ("simple", "hidden"):
        client.post(f"/north-of-20?network={network}", json=PIECE).raise_for_status()
    client.post("/v2/models/genre/infer", json=TENSOR).raise_for_status()
    assert client.post("/genre", json={}).status_code == 422


@contextmanager
def prometheus_of(folder: Path, target: str) -> Iterator[httpx.Client]:
    """A client of a Prometheus with the scrape example and the rules, but for the target, the key and the interval."""
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    key, port = folder / "key", free_port()
    key.write_text(KEY)
    for old, new in (
        ("# authorization:", "authorization:"),
        ("#   credentials_file: /etc/prometheus/music-origin-key", f"  credentials_file: {key}"),
        ("localhost:8000", target),
        ("scrape_interval: 30s", "scrape_interval: 300ms"),
    ):
        assert old in config
        config = config.replace(old, new)
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", folder)
    options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--log.level=warn"]
    command = ["prometheus", *options, f"--web.listen-address=127.0.0.1:{port}"]
    with (
        subprocess.Popen(command) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=10)) as client,
    ):
        try:
            while client.get("/-/ready").status_code != 200:
                assert process.poll() is None
                time.sleep(0.05)
            yield client
        finally:
            process.terminate()


def answer(prometheus: httpx.Client, expression: str) -> list[Any]:
    """The samples that Prometheus answers with now."""
    reply = prometheus.get("/api/v1/query", params={"query": expression}).json()
    assert reply["status"] == "success", f"{expression}: {reply}"
    return list(reply["data"]["result"])


@pytest.fixture(scope="module")
def prometheus(
    run_server: RunServer, require: Require, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a Prometheus that has scraped a service while it was asked."""
    require(shutil.which("prometheus"), "prometheus is not installed")
    with run_server(shipped=True, MUSIC_ORIGIN_API_KEY=f"another-key,{KEY}") as server:
        server.client.headers["X-API-Key"] = "another-key"
        ask_all(server.client)
        target = f"{server.client.base_url.host}:{server.client.base_url.port}"
        with prometheus_of(tmp_path_factory.mktemp("prometheus"), target) as client:
            scrapes = in_full('count_over_time(up{job="$job"}[1m])')
            while not (found := answer(client, scrapes)) or float(found[0]["value"][1]) < SCRAPES:
                ask_all(server.client)
                time.sleep(0.05)
            yield client


@pytest.mark.parametrize("expression", expressions())
def test_panel_shows_something(prometheus: httpx.Client, expression: str) -> None:
    samples = answer(prometheus, in_full(expression))
    assert samples
    assert all(math.isfinite(float(sample["value"][1])) for sample in samples)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rule_is_one_that_prometheus_answers(prometheus: httpx.Client, rule: dict[str, Any]) -> None:
    samples = answer(prometheus, rule["expr"])
    assert not samples or "alert" not in rule


def test_every_name_is_one_that_there_is(prometheus: httpx.Client) -> None:
    exported = {*prometheus.get("/api/v1/label/__name__/values").json()["data"]}
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    names = {*NAMES.findall(" ".join([*expressions(), *(rule["expr"] for rule in RULES)]))}
    assert {"up", "music_origin_training_genre_share", "process_open_fds"} <= names & exported
    assert names <= exported | recorded
    assert recorded <= names


def test_drift_is_the_distance_from_the_training(prometheus: httpx.Client) -> None:
    """All pieces were the same one, so the distance is the training's share of all other genres."""
    (drift,) = [panel for panel in PANELS if panel["title"].startswith("Genres: how far")]
    (distance,) = answer(prometheus, in_full(drift["targets"][0]["expr"]))
    shares, asked = (
        {sample["metric"]["genre"]: float(sample["value"][1]) for sample in answer(prometheus, series)}
        for series in ("music_origin_training_genre_share", "music_origin_genres_total > 0")
    )
    (genre,) = asked
    assert sum(shares.values()) == pytest.approx(1)
    assert float(distance["value"][1]) == pytest.approx(1 - shares[genre])


def test_dashboard_is_whole() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        assert all('job="$job"' in selector for target in panel["targets"] for selector in selectors(target["expr"]))
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not any(overlap(a, b) for i, a in enumerate(places) for b in places[:i])


def selectors(expression: str) -> list[str]:
    """The labels by which each series in an expression is chosen."""
    return re.findall(r"\{(.*?)\}", expression)


def overlap(a: dict[str, int], b: dict[str, int]) -> bool:
    """Whether two panels lie on each other."""
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    return not (beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"])
