import asyncio

import httpx
import pytest

from service.app import create_app


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/docs/assets/nothing.js", 404),
        ("GET", "/docs/assets/../../../../etc/passwd", 404),
        ("GET", "/genre", 405),
        ("DELETE", "/north-of-20", 405),
        ("POST", "/health", 405),
        ("POST", "/docs/assets/favicon.png", 405),
    ],
)
def test_every_error_is_a_problem(client: httpx.Client, method: str, path: str, status: int) -> None:
    reply = client.request(method, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status
    assert "/docs" in body["detail"]


def test_wrong_method_is_answered_with_the_right_one(client: httpx.Client) -> None:
    assert client.get("/genre").headers["allow"] == "POST"


def test_failure_of_the_service_says_nothing_of_its_inside() -> None:
    app = create_app()

    @app.get("/failure")
    async def failure() -> None:
        raise RuntimeError("secret detail")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.get("/failure")

    reply = asyncio.run(ask())
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert "secret" not in reply.text
