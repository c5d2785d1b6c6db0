"""uvicorn alone: the body is read, and the answer is always the same."""

from typing import Any

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
ANSWER = {"type": "http.response.body", "body": b'{"probability":0.5}'}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers every request in the same way."""
    if scope["type"] != "http":
        return
    while (await receive())["more_body"]:
        pass
    await send(START)
    await send(ANSWER)
