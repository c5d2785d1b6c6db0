"""Requests as their bytes are, sent with pauses, and their replies."""

import json
import socket
import time
from collections.abc import Sequence

import httpx

from service.schemas import EXAMPLE_FEATURES

PIECE = json.dumps({"features": EXAMPLE_FEATURES}).encode()
PASSED_ON = 418
LATE = 1.5  # seconds between a head and its body
# An application that answers nothing: what has a prediction was answered before it.
NO_APPLICATION = f"""
from service import door
from service.app import app as service

door.PATIENCE = {LATE / 3}

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await service(scope, receive, send)
    await send({{"type": "http.response.start", "status": {PASSED_ON}, "headers": [(b"content-length", b"0")]}})
    await send({{"type": "http.response.body"}})
"""

Reply = tuple[int, list[tuple[str, str]], bytes]


def request(
    body: bytes = PIECE,
    *more: str,
    line: str = "POST /genre HTTP/1.1",
    kind: str | None = "application/json",
    length: int | None = None,
) -> bytes:
    """A request, with more lines in its head."""
    lines = [line, "Host: here", "X-Request-ID: mine", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def parted(whole: bytes, *places: int) -> list[bytes]:
    return [whole[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]


END_OF_HEAD = len(request(b"", length=len(PIECE)))


def replies(client: httpx.Client, sent: Sequence[bytes | float], count: int) -> list[Reply]:
    """What comes back on one connection to which bytes are sent, with pauses of some seconds."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for each in sent:
            if isinstance(each, bytes):
                connection.sendall(each)
            else:
                time.sleep(each)
        return [read_reply(connection) for _ in range(count)]


def read_reply(connection: socket.socket) -> Reply:
    """A reply, byte by byte: what follows is left. Its date, and its id unless that is the client's, are left out."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    first, *lines = head.decode().strip().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    length = int(dict(headers).get("content-length", 0))
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    volatile = {"date"} if ("x-request-id", "mine") in headers else {"date", "x-request-id"}
    return int(first.split()[1]), [header for header in headers if header[0] not in volatile], body
