import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.archive import DEFAULT_BUNDLE, save_bundle
from models.bundle import ModelBundle
from models.pieces import PiecePredictor
from service.reloading import Models, warm_up
from service.schemas import EXAMPLE_FEATURES
from tests.bundles import with_centroids
from tests.conftest import RunServer, Server, module

PIECE = {"features": EXAMPLE_FEATURES}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.npz"
    path.write_bytes(DEFAULT_BUNDLE.read_bytes())
    return path


def version(server: Server) -> str:
    reply = server.client.post("/north-of-20?network=hidden", json=PIECE).raise_for_status()
    assert reply.headers["x-model-version"] == reply.json()["model_version"]
    return str(reply.json()["model_version"])


def reloads(server: Server, outcome: str) -> float:
    start = f'music_origin_reloads_total{{outcome="{outcome}"}} '
    lines = server.client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


def is_refused(server: Server) -> bool:
    return "\nmusic_origin_reload_refused 1.0\n" in server.client.get("/metrics").text


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def test_sighup_brings_the_other_models(
    run_server: RunServer, path: Path, bundle: ModelBundle, other_bundle: ModelBundle
) -> None:
    with run_server(MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        assert version(server) == bundle.version
        before = server.client.post("/north-of-20?network=hidden", json=PIECE).json()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: f"{bundle.version} answers already" in server.log.read_text())
        assert reloads(server, "done") == 0
        save_bundle(other_bundle, path)
        assert version(server) == bundle.version
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: version(server) == other_bundle.version)
        after = server.client.post("/north-of-20?network=hidden", json=PIECE).json()
        assert after["probability"] != before["probability"]
        assert reloads(server, "done") == 1
        metrics = server.client.get("/metrics").text
        assert server.client.get("/health/ready").json()["model_version"] == other_bundle.version
    assert f'version="{bundle.version}"}} 0.0' in metrics
    assert f'version="{other_bundle.version}"}} 1.0' in metrics
    (line,) = [line for line in server.lines() if "in the place of" in line.get("message", "")]
    assert line["level"] == "info"


def test_genres_are_those_of_the_models_that_answer(run_server: RunServer, path: Path, bundle: ModelBundle) -> None:
    with run_server(MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        before = server.client.get("/genres").json()["genres"]
        other = with_centroids(bundle, bundle.genres.centroids[::-1].copy())
        save_bundle(other, path)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: version(server) == other.version)
        after = server.client.get("/genres").json()["genres"]
    assert [genre["centroid"] for genre in after] == [genre["centroid"] for genre in reversed(before)]
    assert after[0]["example"] != before[0]["example"]


def test_bad_bundle_is_refused_and_the_old_one_answers(run_server: RunServer, path: Path, bundle: ModelBundle) -> None:
    with run_server(MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        path.write_bytes(path.read_bytes()[:1000])
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: reloads(server, "refused") == 1)
        assert version(server) == bundle.version
    (line,) = [line for line in server.lines() if line["level"] == "error"]
    assert f"{path} is not a complete model bundle" in line["message"]
    assert f"{bundle.version} goes on answering" in line["message"]


@pytest.mark.parametrize("back", [True, False], ids=["the one before", "another"])
def test_refusal_is_told_until_a_sound_bundle_is_there(
    run_server: RunServer, path: Path, bundle: ModelBundle, other_bundle: ModelBundle, back: bool
) -> None:
    with run_server(MUSIC_ORIGIN_BUNDLE=str(path)) as server:
        assert not is_refused(server)
        path.write_bytes(path.read_bytes()[:1000])
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: is_refused(server))
        save_bundle(bundle if back else other_bundle, path)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not is_refused(server))
        assert version(server) == (bundle if back else other_bundle).version


def test_models_that_fail_are_refused_with_the_reason(run_server: RunServer, path: Path, tmp_path: Path) -> None:
    code = """
import service.reloading
from service.app import app
load = service.reloading.load_models
service.reloading.load_models = lambda path: load(path) if path.stat().st_size > 9 else 1 / 0
"""
    with run_server(may_fail=True, MUSIC_ORIGIN_BUNDLE=str(path), **module(tmp_path, code)) as server:
        path.write_bytes(b"")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: reloads(server, "refused") == 1)
        version(server)
    (line,) = [line for line in server.lines() if line["level"] == "error"]
    assert "ZeroDivisionError" in line["exception"]


def test_watched_bundle_needs_no_signal(
    run_server: RunServer, path: Path, tmp_path: Path, other_bundle: ModelBundle
) -> None:
    often = "import service.reloading\nfrom service.app import app\nservice.reloading.LOOK_SECONDS = 0.05\n"
    watched = {"MUSIC_ORIGIN_BUNDLE": str(path), "MUSIC_ORIGIN_WATCH": "true"}
    with run_server(**watched, **module(tmp_path, often)) as server:
        path.unlink()
        wait_until(lambda: reloads(server, "refused") == 1)
        save_bundle(other_bundle, path)
        wait_until(lambda: version(server) == other_bundle.version)
        time.sleep(0.5)  # in which the file is looked at again and again
        assert (reloads(server, "refused"), reloads(server, "done")) == (1, 1)


def test_every_predictor_is_warmed_up(bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    warmed = set()

    def recorded(predictor: type, method: str) -> None:
        original = getattr(predictor, method)

        def record(self: object, *arguments: object) -> object:
            warmed.add((self, method))
            return original(self, *arguments)

        monkeypatch.setattr(predictor, method, record)

    pieces = PiecePredictor(bundle)
    for_rows = {
        (bundle.genres, "distances"),
        *((network, "predict") for network in bundle.networks.values()),
        (bundle.places, "origins"),
    }
    for_pieces = {(pieces, "genre"), (pieces, "north_of_20"), (pieces, "places")}
    for predictor, method in for_rows | for_pieces:
        recorded(type(predictor), method)
    warm_up(Models(bundle, pieces))
    assert warmed == for_rows | for_pieces
