import itertools
import json
import math
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import keras
import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE
from models.bundle import ModelBundle
from models.features import Floats
from models.origin import great_circle_km
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import StartServer, problem
from training import networks
from training.dataset import Dataset

PATHS = ("/genre", "/north-of-20", "/origin")
JSON = {"Content-Type": "application/json"}


def with_feature(value: object) -> dict[str, list[object]]:
    """The example with another fourth feature."""
    return {"features": [*EXAMPLE_FEATURES[:3], value, *EXAMPLE_FEATURES[4:]]}


def predict(client: httpx.Client, path: str, rows: Floats) -> list[dict[str, Any]]:
    replies = (client.post(path, json={"features": row.tolist()}) for row in rows)
    return [reply.raise_for_status().json() for reply in replies]


def test_genres_are_the_nearest_centroids(client: httpx.Client, bundle: ModelBundle) -> None:
    rows = np.random.default_rng(6).normal(0, 1.5, size=(50, 68))
    for row, reply in zip(rows, predict(client, "/genre", rows), strict=True):
        distances = np.sqrt(((row - bundle.genres.centroids) ** 2).sum(axis=1))
        assert reply["distances"] == pytest.approx(distances.tolist())
        assert reply["genre"] == distances.argmin()
        assert reply["distance"] == reply["distances"][reply["genre"]]
        assert reply["model_version"] == bundle.version


def test_a_centroid_is_its_own_genre(client: httpx.Client, bundle: ModelBundle) -> None:
    replies = predict(client, "/genre", bundle.genres.centroids)
    assert [reply["genre"] for reply in replies] == list(range(10))
    assert max(reply["distance"] for reply in replies) < 1e-6


@pytest.mark.parametrize("name", ["simple", "hidden", "places"])
def test_probabilities_of_every_piece_are_those_of_keras(client: httpx.Client, dataset: Dataset, name: str) -> None:
    model = keras.saving.load_model(DEFAULT_BUNDLE.with_name(f"{name}.keras"))
    probabilities = networks.predict(model, dataset.features)
    north = dataset.places.north_of_20 if name == "places" else [False, True]
    expected = probabilities[:, north].sum(axis=1)
    replies = predict(client, f"/north-of-20?network={name}&calibrated=false", dataset.features)
    np.testing.assert_allclose([reply["probability"] for reply in replies], expected, rtol=0, atol=1e-5)
    assert all(reply["north_of_20"] == (reply["probability"] > 0.5) for reply in replies)
    assert {reply["network"] for reply in replies} == {name}


def test_genres_of_the_pieces_have_the_sizes_of_training(
    client: httpx.Client, dataset: Dataset, bundle: ModelBundle
) -> None:
    genres = [reply["genre"] for reply in predict(client, "/genre", dataset.features)]
    assert np.bincount(genres).tolist() == [genre.size for genre in bundle.manifest.genres]


def test_places_network_is_the_default(client: httpx.Client, bundle: ModelBundle) -> None:
    body = {"features": EXAMPLE_FEATURES}
    reply = client.post("/north-of-20", json=body).json()
    assert reply == client.post("/north-of-20?network=places", json=body).json()
    for other in ("simple", "hidden"):
        assert reply != client.post(f"/north-of-20?network={other}", json=body).json()
    assert set(reply) == {"north_of_20", "probability", "network", "model_version"}
    assert reply["model_version"] == bundle.version


def test_origins_of_every_piece_are_those_of_the_places_network(
    client: httpx.Client, dataset: Dataset, bundle: ModelBundle
) -> None:
    model = keras.saving.load_model(DEFAULT_BUNDLE.with_name("places.keras"))
    probabilities = networks.predict(model, dataset.features)
    places = bundle.manifest.places
    names = [place.country for place in places]
    for row, reply in zip(probabilities, predict(client, "/origin?top=33", dataset.features), strict=True):
        assert set(reply) == {"places", "latitude", "longitude", "expected_error_km", "model_version"}
        given = [place["probability"] for place in reply["places"]]
        assert given == sorted(given, reverse=True)
        order = [names.index(place["country"]) for place in reply["places"]]
        assert sorted(order) == list(range(33))
        np.testing.assert_allclose(given, row[order], rtol=0, atol=1e-5)
        for place, index in zip(reply["places"], order, strict=True):
            assert (place["latitude"], place["longitude"]) == (places[index].latitude, places[index].longitude)
        distances = great_circle_km(
            reply["latitude"], reply["longitude"], bundle.places.latitude, bundle.places.longitude
        )
        assert reply["expected_error_km"] == pytest.approx(row @ distances, abs=0.5)


def test_likeliest_place_of_training_pieces_is_mostly_their_own(client: httpx.Client, dataset: Dataset) -> None:
    rows = dataset.split(0).training[:100]
    replies = predict(client, "/origin?top=1", dataset.features[rows])
    right = [
        (place["latitude"], place["longitude"]) == (dataset.latitude[row], dataset.longitude[row])
        for row, reply in zip(rows, replies, strict=True)
        for place in reply["places"]
    ]
    assert len(right) == 100
    assert sum(right) > 90


def test_five_places_are_listed_unless_another_number_is_asked_for(client: httpx.Client) -> None:
    body = {"features": EXAMPLE_FEATURES}
    default = client.post("/origin", json=body).json()
    for top, listed in ((1, 1), (5, 5), (33, 33), (1000, 33)):
        reply = client.post(f"/origin?top={top}", json=body).raise_for_status().json()
        assert len(reply["places"]) == listed
        assert reply["places"][:5] == default["places"][:listed]
        assert {name: reply[name] for name in reply if name != "places"} == {
            name: default[name] for name in default if name != "places"
        }
    assert len(default["places"]) == 5


def test_whole_numbers_and_the_bound_are_taken(client: httpx.Client) -> None:
    for path, value in itertools.product(PATHS, (0, -1000, 1000, 1000.0, 1e-300)):
        reply = client.post(path, json=with_feature(value)).raise_for_status().json(parse_constant=pytest.fail)
        assert all(math.isfinite(number) for number in reply.values() if isinstance(number, float))


@pytest.mark.parametrize("sign", [-1, 1])
def test_farthest_piece_has_finite_answers(client: httpx.Client, sign: int) -> None:
    body = {"features": [1000 * sign] * 68}
    for path in (*PATHS, "/north-of-20?network=simple"):
        reply = client.post(path, json=body).raise_for_status().json(parse_constant=pytest.fail)
        assert 0 <= reply.get("probability", 0) <= 1
        assert all(math.isfinite(number) for number in reply.values() if isinstance(number, float))


WRONG_FEATURES = [
    ('"1.5"', "must be a number"),
    ("true", "must be a number"),
    ("null", "must be a number"),
    ("[1]", "must be a number"),
    ("{}", "must be a number"),
    ("NaN", "must be a finite number"),
    ("Infinity", "must be a finite number"),
    ("-Infinity", "must be a finite number"),
    ("1e400", "must be a finite number"),
    ("1" + "0" * 400, "must be a finite number"),
    ("1000.001", "must be at most 1000"),
    ("-1e300", "must be at least -1000"),
]


@pytest.mark.parametrize(("path", "value"), list(itertools.product(PATHS, WRONG_FEATURES)))
def test_wrong_feature_is_named(client: httpx.Client, path: str, value: tuple[str, str]) -> None:
    text, message = value
    content = json.dumps(with_feature("HERE")).replace('"HERE"', text)
    body = problem(client.post(path, content=content, headers=JSON), 422)
    (error,) = body["errors"]
    assert error["pointer"] == "/features/3"
    assert message in error["message"]
    assert body["detail"].startswith("/features/3 must be")


WRONG_BODIES = [
    ({"features": EXAMPLE_FEATURES[:67]}, "/features", "must have 68 numbers, not 67"),
    ({"features": [*EXAMPLE_FEATURES, 0.0]}, "/features", "must have 68 numbers, not 69"),
    ({"features": []}, "/features", "must have 68 numbers, not 0"),
    ({"features": "1,2"}, "/features", "must be an array"),
    ({"features": None}, "/features", "must be an array"),
    ({"features": {"0": 1}}, "/features", "must be an array"),
    ({}, "/features", "is missing"),
    ({"features": EXAMPLE_FEATURES, "secret-name": 1}, "", "has a name that is not known"),
    ([EXAMPLE_FEATURES], "", "must be an object"),
    (None, "", "must be an object"),
    ("text", "", "must be an object"),
]


@pytest.mark.parametrize(("path", "wrong"), list(itertools.product(PATHS, WRONG_BODIES)))
def test_wrong_body_is_named(client: httpx.Client, path: str, wrong: tuple[object, str, str]) -> None:
    content, pointer, message = wrong
    reply = client.post(path, content=json.dumps(content), headers=JSON)
    (error,) = problem(reply, 422)["errors"]
    assert error["pointer"] == pointer
    assert message in error["message"]
    assert "secret-name" not in reply.text


BROKEN_JSON = [b"{", b'{"features": [1,', b"\xff\xfe", b"{'features': []}", b"[" * 50_000, b'{"features":[]}x', b" "]


@pytest.mark.parametrize(("path", "content"), list(itertools.product(PATHS, BROKEN_JSON)))
def test_broken_json_is_said(client: httpx.Client, path: str, content: bytes) -> None:
    body = problem(client.post(path, content=content, headers=JSON), 422)
    assert body["detail"].startswith("The body must be JSON: ")
    assert "line 1 column" in body["detail"]


@pytest.mark.parametrize("path", PATHS)
def test_empty_body_is_said(client: httpx.Client, path: str) -> None:
    assert problem(client.post(path, headers=JSON), 422)["detail"] == "The body is missing."


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json"])
@pytest.mark.parametrize("path", PATHS)
def test_other_content_type_is_refused(client: httpx.Client, path: str, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    reply = client.post(path, content=json.dumps({"features": EXAMPLE_FEATURES}), headers=headers)
    assert "Content-Type: application/json" in problem(reply, 415)["detail"]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_content_type_may_have_parameters_and_capitals(client: httpx.Client, content_type: str) -> None:
    content = json.dumps({"features": EXAMPLE_FEATURES})
    client.post("/genre", content=content, headers={"Content-Type": content_type}).raise_for_status()


def test_at_most_ten_errors_are_listed(client: httpx.Client) -> None:
    body = problem(client.post("/genre", json={"features": ["secret-text"] * 68}), 422)
    assert body["detail"].startswith("More than 10 values are wrong, the first: /features/0 must be a number")
    assert [error["pointer"] for error in body["errors"]] == [f"/features/{index}" for index in range(10)]
    assert "secret-text" not in json.dumps(body)


@pytest.mark.parametrize(
    ("query", "pointer", "message"),
    [
        ("network=deep", "?network", "must be 'simple', 'hidden' or 'places'"),
        ("network=", "?network", "must be 'simple', 'hidden' or 'places'"),
        ("top=0", "?top", "must be at least 1"),
        ("top=1001", "?top", "must be at most 1000"),
        ("top=many", "?top", "must be a whole number"),
        ("top=1.5", "?top", "must be a whole number"),
        ("top=" + "9" * 5000, "?top", "must be a whole number"),
        ("secret-name=hidden", "?", "has a name that is not known"),
    ],
)
def test_wrong_query_is_named(client: httpx.Client, query: str, pointer: str, message: str) -> None:
    path = "/origin" if "top" in query else "/north-of-20"
    reply = client.post(f"{path}?{query}", json={"features": EXAMPLE_FEATURES})
    (error,) = problem(reply, 422)["errors"]
    assert error["pointer"] == pointer
    assert message in error["message"]
    assert "secret-name" not in reply.text


def in_chunks(size: int) -> Iterator[bytes]:
    yield from itertools.repeat(b" " * 65_536, size // 65_536)


def test_large_body_is_refused_whether_declared_or_not(client: httpx.Client) -> None:
    for content in (b" " * 2**25, in_chunks(2**25)):
        reply = client.post("/genre", content=content, headers=JSON)
        assert problem(reply, 413)["detail"] == "The body must have at most 65536 bytes."
    client.post("/genre", json={"features": EXAMPLE_FEATURES}).raise_for_status()


def test_large_body_is_refused_before_it_arrives(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(
            b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_body_lost_to_an_upgrade_is_said(client: httpx.Client) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "h2c"}
    reply = client.post("/genre", json={"features": EXAMPLE_FEATURES}, headers=headers)
    assert "without Upgrade" in problem(reply, 400)["detail"]
    assert reply.headers["connection"] == "close"


def test_largest_body_is_a_setting(start_server: StartServer) -> None:
    content = json.dumps({"features": EXAMPLE_FEATURES}).encode()
    with start_server(MUSIC_ORIGIN_MAX_BODY_BYTES=str(len(content))) as client:
        client.post("/genre", content=content, headers=JSON).raise_for_status()
        assert "at most" in problem(client.post("/genre", content=content + b" ", headers=JSON), 413)["detail"]


def test_client_that_leaves_does_no_harm(client: httpx.Client) -> None:
    """The server fixture fails if the log has a stack trace."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.sendall(
            b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
    client.post("/genre", json={"features": EXAMPLE_FEATURES}).raise_for_status()
