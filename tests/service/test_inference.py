import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException

from models.bundle import ModelBundle
from models.features import Floats
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, StartServer

OUTPUTS = {"genre": ["genre", "distance"], "north-of-20": ["north_of_20", "probability"]}
DATATYPES = {"FP32": np.float32, "FP64": np.float64}
ROWS = np.random.default_rng(11).normal(0, 1.5, size=(200, 68))


@pytest.fixture(scope="module")
def triton(client: httpx.Client) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(address(client)) as triton:
        yield triton


def address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def tensor(rows: Floats, datatype: str = "FP64", *, binary: bool = True) -> InferInput:
    values = rows.astype(DATATYPES[datatype])
    return InferInput("features", [*values.shape], datatype).set_data_from_numpy(values, binary_data=binary)


def assert_same_reply(result: InferResult, expected: InferResult, model: str) -> None:
    for name in OUTPUTS[model]:
        np.testing.assert_array_equal(result.as_numpy(name), expected.as_numpy(name), strict=True)


def batch(client: httpx.Client, path: str, rows: Floats) -> dict[str, Any]:
    reply: dict[str, Any] = client.post(path, json={"features": rows.tolist()}).raise_for_status().json()
    return reply


def assert_genres(result: InferResult, expected: dict[str, Any]) -> None:
    np.testing.assert_array_equal(result.as_numpy("genre"), np.array(expected["genre"], np.int64), strict=True)
    np.testing.assert_array_equal(result.as_numpy("distance"), np.array(expected["distance"]), strict=True)


def assert_sides(result: InferResult, expected: dict[str, Any]) -> None:
    north = np.array(expected["probability"])
    np.testing.assert_array_equal(result.as_numpy("north_of_20"), np.array(expected["north_of_20"]), strict=True)
    np.testing.assert_array_equal(
        result.as_numpy("probability"), np.stack([1 - north, north], axis=1).reshape(-1, 2), strict=True
    )


def test_server_is_described(triton: InferenceServerClient, client: httpx.Client) -> None:
    version = client.get("/openapi.json").json()["info"]["version"]
    described = {"name": "music-origin", "version": version, "extensions": ["binary_tensor_data"]}
    assert triton.get_server_metadata() == described
    assert client.get("/v2").json() == described


def test_server_is_live_and_ready(triton: InferenceServerClient, client: httpx.Client) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True, "live": True}


def test_models_are_listed(client: httpx.Client) -> None:
    assert client.get("/v2/models").json() == {"models": ["genre", "north-of-20"]}


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (
            "genre",
            [
                {"name": "genre", "datatype": "INT64", "shape": [-1]},
                {"name": "distance", "datatype": "FP64", "shape": [-1]},
            ],
        ),
        (
            "north-of-20",
            [
                {"name": "north_of_20", "datatype": "BOOL", "shape": [-1]},
                {"name": "probability", "datatype": "FP64", "shape": [-1, 2]},
            ],
        ),
    ],
)
def test_model_is_described(
    triton: InferenceServerClient, bundle: ModelBundle, model: str, outputs: list[dict[str, Any]]
) -> None:
    described = {
        "name": model,
        "versions": [bundle.version],
        "platform": "numpy",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 68]}],
        "outputs": outputs,
    }
    assert triton.get_model_metadata(model) == described
    assert triton.get_model_metadata(model, bundle.version) == described


@pytest.mark.parametrize("model", OUTPUTS)
def test_model_is_ready(triton: InferenceServerClient, client: httpx.Client, bundle: ModelBundle, model: str) -> None:
    assert triton.is_model_ready(model)
    assert triton.is_model_ready(model, bundle.version)
    assert not triton.is_model_ready(model, "1")
    assert not triton.is_model_ready("origin")
    for path in (f"/v2/models/{model}/ready", f"/v2/models/{model}/versions/{bundle.version}/ready"):
        assert client.get(path).json() == {"name": model, "ready": True}


def test_replies_are_binary_by_default(triton: InferenceServerClient, bundle: ModelBundle) -> None:
    for model, names in OUTPUTS.items():
        result = triton.infer(model, [tensor(ROWS, "FP32")])
        reply = result.get_response()
        assert (reply["model_name"], reply["model_version"]) == (model, bundle.version)
        assert "id" not in reply
        assert [output["name"] for output in reply["outputs"]] == names
        assert all("data" not in output for output in reply["outputs"])
        sizes = [output["parameters"]["binary_data_size"] for output in reply["outputs"]]
        assert sizes == [result.as_numpy(name).nbytes for name in names]
        described = {output["name"]: output for output in triton.get_model_metadata(model)["outputs"]}
        for output in reply["outputs"]:
            assert output["datatype"] == described[output["name"]]["datatype"]
            assert output["shape"] == [len(ROWS), *described[output["name"]]["shape"][1:]]


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_form_of_the_tensors_changes_no_bit(
    triton: InferenceServerClient, datatype: str, binary_in: bool, binary_out: bool
) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS, datatype)])
        wanted = [InferRequestedOutput(name, binary_data=binary_out) for name in names]
        result = triton.infer(model, [tensor(ROWS, datatype, binary=binary_in)], outputs=wanted)
        assert_same_reply(result, expected, model)
        assert all(("data" in result.get_output(name)) != binary_out for name in names)


def test_one_output_may_be_binary_and_the_other_not(triton: InferenceServerClient) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS)])
        for binary in (0, 1):
            wanted = [InferRequestedOutput(name, binary_data=names.index(name) == binary) for name in names]
            result = triton.infer(model, [tensor(ROWS)], outputs=wanted)
            assert_same_reply(result, expected, model)
            assert ["data" in result.get_output(name) for name in names] == [binary == 1, binary == 0]


@pytest.mark.parametrize("count", [1, 2, 200])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_rows_are_answered_as_by_batches(
    triton: InferenceServerClient, client: httpx.Client, datatype: str, count: int
) -> None:
    rows = ROWS[:count].astype(DATATYPES[datatype])
    assert_genres(triton.infer("genre", [tensor(rows, datatype)]), batch(client, "/genre/batch", rows))
    assert_sides(triton.infer("north-of-20", [tensor(rows, datatype)]), batch(client, "/north-of-20/batch", rows))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_one_row_is_answered_as_a_piece(triton: InferenceServerClient, client: httpx.Client, datatype: str) -> None:
    for row in ROWS[:20].astype(DATATYPES[datatype]):
        piece = tensor(row[None], datatype)
        genre = client.post("/genre", json={"features": row.tolist()}).raise_for_status().json()
        assert_genres(triton.infer("genre", [piece]), {name: [genre[name]] for name in ("genre", "distance")})
        side = client.post("/north-of-20", json={"features": row.tolist()}).raise_for_status().json()
        names = ("north_of_20", "probability")
        assert_sides(triton.infer("north-of-20", [piece]), {name: [side[name]] for name in names})


@pytest.mark.parametrize("network", ["simple", "hidden", "places"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_network_and_calibration_are_parameters(
    triton: InferenceServerClient, client: httpx.Client, network: str, calibrated: bool
) -> None:
    query = f"network={network}&calibrated={str(calibrated).lower()}"
    parameters = {"network": network, "calibrated": calibrated}
    result = triton.infer("north-of-20", [tensor(ROWS)], parameters=parameters)
    assert_sides(result, batch(client, f"/north-of-20/batch?{query}", ROWS))
    one = triton.infer("north-of-20", [tensor(ROWS[:1])], parameters=parameters)
    piece = client.post(f"/north-of-20?{query}", json={"features": ROWS[0].tolist()}).raise_for_status().json()
    assert_sides(one, {name: [piece[name]] for name in ("north_of_20", "probability")})
    others = [{"network": other} for other in ("simple", "hidden", "places") if other != network]
    for other in (*others, {"network": network, "calibrated": not calibrated}):
        different = triton.infer("north-of-20", [tensor(ROWS)], parameters=other)
        assert (different.as_numpy("probability") != result.as_numpy("probability")).any()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_body_may_be_compressed(triton: InferenceServerClient, algorithm: str) -> None:
    for model in OUTPUTS:
        for binary in (True, False):
            result = triton.infer(
                model,
                [tensor(ROWS, binary=binary)],
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            assert_same_reply(result, triton.infer(model, [tensor(ROWS)]), model)


def test_id_is_echoed(triton: InferenceServerClient) -> None:
    for outputs in (None, [InferRequestedOutput("genre", binary_data=False)]):
        result = triton.infer("genre", [tensor(ROWS)], request_id="piece 7, é", outputs=outputs)
        assert result.get_response()["id"] == "piece 7, é"


def test_outputs_are_those_asked_for_in_their_order(triton: InferenceServerClient) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS)])
        for wanted in ([names[0]], [names[1]], names, names[::-1]):
            for binary in (True, False):
                outputs = [InferRequestedOutput(name, binary_data=binary) for name in wanted]
                result = triton.infer(model, [tensor(ROWS)], outputs=outputs)
                assert [output["name"] for output in result.get_response()["outputs"]] == wanted
                for name in wanted:
                    np.testing.assert_array_equal(result.as_numpy(name), expected.as_numpy(name), strict=True)


def test_version_may_be_named(triton: InferenceServerClient, bundle: ModelBundle) -> None:
    for model in OUTPUTS:
        result = triton.infer(model, [tensor(ROWS)], model_version=bundle.version)
        assert result.get_response()["model_version"] == bundle.version
        assert_same_reply(result, triton.infer(model, [tensor(ROWS)]), model)


def test_other_model_or_version_is_not_found(triton: InferenceServerClient, bundle: ModelBundle) -> None:
    no_model = "[404] There is no such model: there are genre and north-of-20."
    no_version = f"[404] There is no such version: the one that answers is {bundle.version}."
    for ask in (lambda *model: triton.infer(model[0], [tensor(ROWS)], *model[1:]), triton.get_model_metadata):
        for model, message in (
            (["origin"], no_model),
            (["secret", bundle.version], no_model),
            (["genre", "1"], no_version),
            (["north-of-20", "secret"], no_version),
        ):
            with pytest.raises(InferenceServerException) as raised:
                ask(*model)
            assert str(raised.value) == message


def test_mistake_reaches_the_triton_client(triton: InferenceServerClient) -> None:
    rows = ROWS.copy()
    rows[3, 7] = np.nan
    with pytest.raises(InferenceServerException) as raised:
        triton.infer("genre", [tensor(rows)])
    assert str(raised.value) == "[400] Row 4: feature 8 must be a finite number between -1000 and 1000."


def test_pool_of_greenlets_is_answered(client: httpx.Client) -> None:
    with InferenceServerClient(address(client), concurrency=4) as triton:
        asked = [triton.async_infer("genre", [tensor(ROWS[:count])]) for count in range(1, 9)]
        for count, each in enumerate(asked, 1):
            assert_genres(each.get_result(), batch(client, "/genre/batch", ROWS[:count]))


def test_asynchronous_triton_client_is_answered(client: httpx.Client) -> None:
    async def ask() -> dict[str, InferResult]:
        async with tritonclient.http.aio.InferenceServerClient(address(client)) as triton:
            assert await triton.is_server_ready()
            return {model: await triton.infer(model, [tensor(ROWS)], request_id="7") for model in OUTPUTS}

    results = asyncio.run(ask())
    assert {result.get_response()["id"] for result in results.values()} == {"7"}
    assert_genres(results["genre"], batch(client, "/genre/batch", ROWS))
    assert_sides(results["north-of-20"], batch(client, "/north-of-20/batch", ROWS))


def test_json_alone_is_enough(client: httpx.Client, bundle: ModelBundle) -> None:
    features = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    genre = client.post("/genre", json={"features": EXAMPLE_FEATURES}).json()
    reply = client.post("/v2/models/genre/infer", json={"inputs": [features]}).raise_for_status()
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "model_name": "genre",
        "model_version": bundle.version,
        "outputs": [
            {"name": "genre", "datatype": "INT64", "shape": [1], "data": [genre["genre"]]},
            {"name": "distance", "datatype": "FP64", "shape": [1], "data": [genre["distance"]]},
        ],
    }
    side = client.post("/north-of-20", json={"features": EXAMPLE_FEATURES}).json()
    path = f"/v2/models/north-of-20/versions/{bundle.version}/infer"
    reply = client.post(path, json={"id": "a", "inputs": [features]}).raise_for_status()
    assert reply.json() == {
        "model_name": "north-of-20",
        "model_version": bundle.version,
        "id": "a",
        "outputs": [
            {"name": "north_of_20", "datatype": "BOOL", "shape": [1], "data": [side["north_of_20"]]},
            {
                "name": "probability",
                "datatype": "FP64",
                "shape": [1, 2],
                "data": [1 - side["probability"], side["probability"]],
            },
        ],
    }


@pytest.mark.parametrize("count", [1, 3])
def test_probabilities_are_listed_row_by_row(client: httpx.Client, count: int) -> None:
    rows = ROWS[:count]
    features = {"name": "features", "shape": [count, 68], "datatype": "FP64", "data": rows.tolist()}
    reply = client.post("/v2/models/north-of-20/infer", json={"inputs": [features]}).raise_for_status().json()
    north = batch(client, "/north-of-20/batch", rows)["probability"]
    assert reply["outputs"][1]["shape"] == [count, 2]
    assert reply["outputs"][1]["data"] == [part for each in north for part in (1 - each, each)]


def error(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert set(body) == {"error"}
    message = body["error"]
    assert isinstance(message, str)
    return message


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/models/genre/nothing", "/v2/models/genre/versions/1/nothing"])
def test_unknown_path_is_said(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST"):
        assert "/docs" in error(client.request(method, path), 404)


@pytest.mark.parametrize("model", ["secret", "origin", "genre/versions/secret", "secret/versions/1"])
def test_unknown_model_is_said(client: httpx.Client, model: str) -> None:
    replies = [client.get(f"/v2/models/{model}{end}") for end in ("", "/ready")]
    features = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    replies.append(client.post(f"/v2/models/{model}/infer", json={"inputs": [features]}))
    for reply in replies:
        message = error(reply, 404)
        assert message.startswith("There is no such ")
        assert "secret" not in message


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/genre/infer", "POST"),
        ("PUT", "/v2/models/genre/versions/1/infer", "POST"),
        ("POST", "/v2/models/genre", "GET, HEAD"),
        ("POST", "/v2/health/ready", "GET, HEAD"),
        ("DELETE", "/v2", "GET, HEAD"),
    ],
)
def test_other_method_is_said(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    reply = client.request(method, path)
    assert error(reply, 405)
    assert reply.headers["allow"] == allowed


def test_unknown_query_is_said(client: httpx.Client) -> None:
    features = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    message = error(client.post("/v2/models/genre/infer?secret=1", json={"inputs": [features]}), 422)
    assert "not known" in message
    assert "secret" not in message


def test_inference_needs_the_key_and_nothing_else_does(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_API_KEY="secret") as client, InferenceServerClient(address(client)) as triton:
        for headers in ({}, {"X-API-Key": "wrong"}):
            assert "API key" in error(client.post("/v2/models/genre/infer", json={}, headers=headers), 401)
            with pytest.raises(InferenceServerException, match="API key"):
                triton.infer("genre", [tensor(ROWS)], headers={**headers})
        for headers in ({"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}):
            assert len(triton.infer("genre", [tensor(ROWS)], headers={**headers}).as_numpy("genre")) == len(ROWS)
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("genre")
        assert triton.get_model_metadata("genre")["name"] == "genre"


def test_openapi_has_the_protocol_and_its_errors(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = {path: operations for path, operations in document["paths"].items() if path.startswith("/v2")}
    model = "/v2/models/{model}"
    version = f"{model}/versions/{{version}}"
    models = {f"{each}{end}" for each in (model, version) for end in ("", "/ready", "/infer")}
    assert {*paths} == {"/v2", "/v2/health/live", "/v2/health/ready", "/v2/models", *models}
    for path, operations in paths.items():
        ((method, operation),) = operations.items()
        assert method == ("post" if path.endswith("/infer") else "get")
        for status, reply in operation["responses"].items():
            schema = reply["content"]["application/json"]["schema"]["$ref"]
            assert (schema == "#/components/schemas/InferenceError") == (status != "200")


def test_pages_of_other_origins_can_read_binary_replies(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_CORS_ORIGINS="https://page.example") as client:
        features = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
        body = {"inputs": [features], "parameters": {"binary_data_output": True}}
        headers = {"Origin": "https://page.example"}
        reply = client.post("/v2/models/genre/infer", json=body, headers=headers).raise_for_status()
        assert "Inference-Header-Content-Length" in reply.headers
        assert "Inference-Header-Content-Length" in reply.headers["access-control-expose-headers"]
        asked_before = {"Access-Control-Request-Method": "POST"} | {
            "Access-Control-Request-Headers": "inference-header-content-length"
        }
        client.options("/v2/models/genre/infer", headers=headers | asked_before).raise_for_status()


def test_server_is_not_ready_once_it_is_about_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-m", "uvicorn", "service.app:app", "--port", "0"]
    environment = os.environ | {"MUSIC_ORIGIN_DRAIN_SECONDS": "60"}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            while not (found := re.search(r"running on http://(\S+)", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.01)
            with InferenceServerClient(found[1]) as triton:
                assert triton.is_server_ready()
                process.send_signal(signal.SIGTERM)
                deadline = time.monotonic() + 10
                while triton.is_server_ready() and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert not triton.is_server_ready()
                assert triton.is_server_live()
                assert len(triton.infer("genre", [tensor(ROWS)]).as_numpy("genre")) == len(ROWS)
            reply = httpx.get(f"http://{found[1]}/v2/health/ready")
            assert reply.status_code == 503
            assert reply.json() == {"ready": False, "live": True, "error": "The service is about to stop."}
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        finally:
            process.kill()
