import re

import httpx
import pytest

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, problem

EVERYTHING = (
    "/",
    "/docs",
    "/openapi.json",
    "/docs/assets/favicon.png",
    "/nothing",
    "/genre",
    "/health/live",
    "/metrics",
    "/v2",
)


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_reply_names_its_request_and_the_model(client: httpx.Client, bundle: ModelBundle, path: str) -> None:
    replies = [client.get(path) for _ in range(3)]
    assert len({reply.headers["x-request-id"] for reply in replies}) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"]) for reply in replies)
    assert {reply.headers["x-model-version"] for reply in replies} == {bundle.version}


@pytest.mark.parametrize("given", ["a", "0b1c-2d.3e_4F", "x" * 128])
def test_sane_id_of_the_client_is_kept(client: httpx.Client, given: str) -> None:
    reply = client.post("/genre", json={"features": EXAMPLE_FEATURES}, headers={"X-Request-ID": given})
    assert reply.headers["x-request-id"] == given
    assert problem(client.get("/nothing", headers={"X-Request-ID": given}), 404)["instance"] == f"urn:request:{given}"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, 'quote"', "<b>"])
def test_other_ids_are_replaced(client: httpx.Client, given: str) -> None:
    reply = client.get("/health/live", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


def test_without_a_model_only_live_answers(run_server: RunServer) -> None:
    with run_server("--lifespan", "off") as server:
        server.client.get("/health/live").raise_for_status()
        server.client.get("/v2/health/live").raise_for_status()
        for path in ("/health/ready", "/model", "/genres", "/metrics"):
            assert "no model" in problem(server.client.get(path), 503)["detail"]
        reply = server.client.post("/genre", json={"features": EXAMPLE_FEATURES})
        assert reply.headers["x-request-id"] in problem(reply, 503)["instance"]
        reply = server.client.get("/v2/health/ready")
        assert (reply.status_code, list(reply.json())) == (503, ["error"])
