import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, StartServer
from tests.service.triton_requests import OUTPUTS, ROWS, address, tensor


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
