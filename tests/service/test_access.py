import httpx
import pytest

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, StartServer, problem

PIECE = {"features": EXAMPLE_FEATURES}
GOOD: list[dict[str, str]] = [
    {"Authorization": "Bearer first-key"},
    {"Authorization": "bearer second-key"},
    {"X-API-Key": "first-key"},
    {"X-API-Key": "second-key"},
    {"Authorization": "Bearer", "X-API-Key": "second-key"},
]
BAD: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer first-ke"},
    {"Authorization": "Bearer first-key2"},
    {"Authorization": "Basic first-key"},
    {"Authorization": "first-key"},
    {"X-API-Key": ""},
    {"X-API-Key": "first-key,second-key"},
    {"Authorization": "Bearer wrong", "X-API-Key": "first-key"},
]
OPEN = (
    "/health/live",
    "/health/ready",
    "/docs",
    "/openapi.json",
    "/genres",
    "/model",
    "/model/card",
    "/problems",
    "/v2",
)


@pytest.fixture(scope="module")
def guarded(start_server: StartServer) -> object:
    with start_server(MUSIC_ORIGIN_API_KEY="first-key,second-key") as client:
        yield client


def guarded_requests(client: httpx.Client, headers: dict[str, str]) -> list[httpx.Response]:
    rows = {"features": [EXAMPLE_FEATURES]}
    tensor = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    return [
        client.get("/metrics", headers=headers),
        *(client.post(path, json=PIECE, headers=headers) for path in ("/genre", "/north-of-20", "/origin")),
        *(client.post(f"{path}/batch", json=rows, headers=headers) for path in ("/genre", "/north-of-20")),
        client.post("/v2/models/genre/infer", json={"inputs": [tensor]}, headers=headers),
    ]


@pytest.mark.parametrize("headers", GOOD)
def test_any_of_the_keys_opens(guarded: httpx.Client, headers: dict[str, str]) -> None:
    for reply in guarded_requests(guarded, headers):
        reply.raise_for_status()


@pytest.mark.parametrize("headers", BAD)
def test_nothing_else_opens(guarded: httpx.Client, headers: dict[str, str]) -> None:
    *replies, inference = guarded_requests(guarded, headers)
    for reply in replies:
        assert "X-API-Key" in problem(reply, 401)["detail"]
        assert reply.headers["www-authenticate"] == 'Bearer realm="music-origin"'
    assert (inference.status_code, list(inference.json())) == (401, ["error"])
    assert inference.headers["www-authenticate"] == 'Bearer realm="music-origin"'


@pytest.mark.parametrize("path", OPEN)
def test_the_rest_stays_open(guarded: httpx.Client, path: str) -> None:
    guarded.get(path).raise_for_status()


def test_key_is_asked_for_before_the_body(guarded: httpx.Client) -> None:
    for content in (b"", b"{", b" " * 100_000):
        problem(guarded.post("/genre", content=content), 401)


def test_openapi_asks_for_keys_only_where_they_are_needed(guarded: httpx.Client, client: httpx.Client) -> None:
    document = guarded.get("/openapi.json").json()
    secured = {
        path for path, operations in document["paths"].items() for each in operations.values() if "security" in each
    }
    assert secured == {
        "/genre",
        "/north-of-20",
        "/origin",
        "/genre/batch",
        "/north-of-20/batch",
        "/origin/batch",
        "/metrics",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
    }
    assert set(document["components"]["securitySchemes"]) == {"Bearer", "X-API-Key"}
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


def test_keys_are_nowhere_to_be_read(run_server: RunServer) -> None:
    with run_server(
        "--log-level", "trace", MUSIC_ORIGIN_API_KEY="the-secret", MUSIC_ORIGIN_LOG_LEVEL="debug"
    ) as server:
        for headers in ({"X-API-Key": "the-secret"}, {"X-API-Key": "the-mistake"}):
            replies = guarded_requests(server.client, headers)
        assert server.client.get("/metrics", headers={"X-API-Key": "the-secret"}).raise_for_status()
    assert not any("the-" in reply.text for reply in replies)
    requests = [line for line in server.lines() if "request_id" in line]
    assert len(requests) == 15
    assert not any("the-secret" in str(line) or "the-mistake" in str(line) for line in requests)


def test_pages_of_named_origins_may_ask(start_server: StartServer) -> None:
    wanted = "authorization,content-encoding,content-type,x-api-key,x-request-id"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    with start_server(MUSIC_ORIGIN_CORS_ORIGINS="https://page.example") as client:
        reply = client.options("/genre", headers={"Origin": "https://page.example", **preflight}).raise_for_status()
        assert reply.headers["access-control-allow-origin"] == "https://page.example"
        assert "access-control-allow-credentials" not in reply.headers
        reply = client.post("/genre", json=PIECE, headers={"Origin": "https://page.example"}).raise_for_status()
        assert reply.headers["access-control-allow-origin"] == "https://page.example"
        assert "X-Request-ID" in reply.headers["access-control-expose-headers"]
        reply = client.post("/genre", json=PIECE, headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in reply.headers


def test_pages_of_other_origins_may_not_by_default(client: httpx.Client) -> None:
    reply = client.post("/genre", json=PIECE, headers={"Origin": "https://page.example"}).raise_for_status()
    assert not any(name.startswith("access-control") for name in reply.headers)
