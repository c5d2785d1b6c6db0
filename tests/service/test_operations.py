import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE
from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, StartServer, problem


def test_live_and_ready(client: httpx.Client, bundle: ModelBundle) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready", "model_version": bundle.version}


def test_genres_are_described_from_the_manifest(client: httpx.Client, bundle: ModelBundle) -> None:
    reply = client.get("/genres").json()
    assert reply["model_version"] == bundle.version
    genres = reply["genres"]
    assert [genre["genre"] for genre in genres] == list(range(10))
    assert sum(genre["size"] for genre in genres) == 1059
    assert sum(genre["size"] * genre["share_north_of_20"] for genre in genres) == pytest.approx(679)
    for genre, summary in zip(genres, bundle.manifest.genres, strict=True):
        assert genre["places"] == [dataclasses.asdict(place) for place in summary.places]
        assert sum(place["share"] for place in genre["places"]) == pytest.approx(1)
        shares = [place["share"] for place in genre["places"]]
        assert shares == sorted(shares, reverse=True)
        assert genre["distinctive_features"] == [dataclasses.asdict(each) for each in summary.distinctive_features]
        assert len({each["feature"] for each in genre["distinctive_features"]}) == 10
    np.testing.assert_array_equal([genre["centroid"] for genre in genres], bundle.genres.centroids)


def test_example_of_each_genre_is_of_that_genre_and_nothing_unusual(client: httpx.Client) -> None:
    for genre in client.get("/genres").json()["genres"]:
        found = client.post("/genre", json={"features": genre["example"]}).raise_for_status().json()
        assert found["genre"] == genre["genre"]
        assert found["typicality"] == pytest.approx(0.5, abs=0.01)
        assert "warning" not in found


def test_every_field_of_the_genres_is_described(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("Genres", "Genre", "DistinctiveFeature", "PlaceOfOrigin"):
        for field, described in schemas[name]["properties"].items():
            assert described.get("description") or "$ref" in described, (name, field)


def test_model_is_its_manifest(client: httpx.Client, bundle: ModelBundle) -> None:
    reply = client.get("/model").raise_for_status().json()
    assert (reply["fingerprint"], reply["model_version"]) == (bundle.fingerprint, bundle.version)
    manifest = reply["manifest"]
    assert manifest["data_sha256"] == bundle.manifest.data_sha256
    assert manifest["networks"]["places"]["temperature"] == bundle.manifest.networks["places"].temperature
    assert len(manifest["places"]) == 33
    assert manifest["accuracy_known_places"] == bundle.manifest.accuracy_known_places
    assert manifest["accuracy_unseen_places"] == bundle.manifest.accuracy_unseen_places
    assert manifest["accuracy_unseen_places"].keys() == {"simple", "hidden", "places", "majority"}


def test_card_is_markdown_or_a_page(client: httpx.Client) -> None:
    card = DEFAULT_BUNDLE.with_name("MODEL_CARD.md").read_text()
    for accept in ("*/*", "text/markdown", "text/html;q=0.1, text/markdown"):
        reply = client.get("/model/card", headers={"Accept": accept}).raise_for_status()
        assert reply.headers["content-type"].startswith("text/markdown")
        assert reply.text == card
    page = client.get("/model/card", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<table>" in page.text
    assert "pipeline_tag" not in page.text
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert (
        "text/markdown or text/html"
        in problem(client.get("/model/card", headers={"Accept": "image/png"}), 406)["detail"]
    )


def test_plots_of_the_card_are_there(client: httpx.Client) -> None:
    for name, media_type in (("genre_map.png", "image/png"), ("scree.svg", "image/svg+xml")):
        reply = client.get(f"/model/plots/{name}").raise_for_status()
        assert reply.headers["content-type"] == media_type
        assert reply.content == DEFAULT_BUNDLE.with_name("plots").joinpath(name).read_bytes()
    for name in (
        "none.png",
        "..%2Fbundle.npz",
        "%2e%2e/MODEL_CARD.md",
        "genre_map.png%00",
        "GENRE_MAP.PNG",
        f"{'a' * 300}.png",
    ):
        assert client.get(f"/model/plots/{name}").status_code == 404


def test_card_of_other_models_is_not_shown(start_server: StartServer, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.npz"
    bundle.write_bytes(DEFAULT_BUNDLE.read_bytes())
    with start_server(MUSIC_ORIGIN_BUNDLE=str(bundle)) as client:
        assert "no card" in problem(client.get("/model/card"), 404)["detail"]
        bundle.with_name("MODEL_CARD.md").write_text("# Of other models")
        assert "no card" in problem(client.get("/model/card"), 404)["detail"]
        problem(client.get("/model/plots/genre_map.png"), 404)


@pytest.fixture
def collected() -> Iterator[tuple[str, list[str]]]:
    """The address of a collector of OpenTelemetry, and the paths that something was sent to."""
    paths: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("switch", ["true", "false"])
def test_telemetry_is_sent_only_if_it_is_asked_for(
    run_server: RunServer, collected: tuple[str, list[str]], switch: str
) -> None:
    endpoint, paths = collected
    with run_server(MUSIC_ORIGIN_TELEMETRY=switch, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as server:
        server.client.post("/genre", json={"features": EXAMPLE_FEATURES}).raise_for_status()
    assert ("/v1/traces" in paths) == ("/v1/metrics" in paths) == (switch == "true")
