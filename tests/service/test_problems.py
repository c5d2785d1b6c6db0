from pathlib import Path

import httpx
import pytest

from service.problems import KINDS
from tests.conftest import RunServer, module, problem


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/problems/nothing", 404),
        ("GET", "/docs/assets/nothing.js", 404),
        ("GET", "/docs/assets/../../../../etc/passwd", 404),
        ("GET", "/genre", 405),
        ("DELETE", "/north-of-20", 405),
        ("POST", "/health/live", 405),
        ("POST", "/docs/assets/favicon.png", 405),
    ],
)
def test_every_error_is_a_problem(client: httpx.Client, method: str, path: str, status: int) -> None:
    reply = client.request(method, path)
    body = problem(reply, status)
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert body["type"] == f"/problems/{KINDS[status].name}"
    assert body["instance"] == f"urn:request:{reply.headers['x-request-id']}"
    assert "/docs" in body["detail"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_explained(client: httpx.Client, kind: object) -> None:
    page = client.get(f"/problems/{kind.name}").raise_for_status()  # type: ignore[attr-defined]
    assert page.headers["content-type"].startswith("text/html")
    assert kind.title in page.text  # type: ignore[attr-defined]
    assert f"/problems/{kind.name}" in client.get("/problems").raise_for_status().text  # type: ignore[attr-defined]


def test_wrong_method_is_answered_with_the_right_one(client: httpx.Client) -> None:
    assert client.get("/genre").headers["allow"] == "POST"


def test_asset_is_whole_whatever_the_range(client: httpx.Client) -> None:
    for wanted in ("bytes=zero-one", "bytes=99999999-", "bytes=0-9"):
        reply = client.get("/docs/assets/favicon.png", headers={"Range": wanted}).raise_for_status()
        assert reply.status_code == 200
        assert len(reply.content) == int(reply.headers["content-length"]) > 10


def test_type_behind_a_proxy_path_has_that_path(run_server: RunServer) -> None:
    with run_server("--root-path", "/music") as server:
        assert problem(server.client.get("/nothing"), 404)["type"] == "/music/problems/not-found"
        assert server.client.get("/v2/nothing").json() == {
            "error": "There is nothing at this path: /docs lists what there is."
        }


def test_failure_says_nothing_of_its_inside_and_is_logged(run_server: RunServer, tmp_path: Path) -> None:
    code = """
import logging
from service.app import app

@app.get("/failure")
async def failure():
    raise RuntimeError("secret detail")
"""
    with run_server(may_fail=True, **module(tmp_path, code)) as server:
        reply = server.client.get("/failure")
        body = problem(reply, 500)
        assert "secret" not in reply.text
        assert body["instance"].endswith(reply.headers["x-request-id"])
        server.client.get("/health/live").raise_for_status()  # on the same connection
    failure, request = [line for line in server.lines() if "request_id" in line]
    assert failure["message"] == "The request failed."
    assert failure["exception"].endswith("RuntimeError: secret detail")
    assert (request["path"], request["status"], request["level"]) == ("/failure", 500, "error")
    assert failure["request_id"] == request["request_id"] == reply.headers["x-request-id"]
    assert server.log.read_text().count("Traceback") == 1
