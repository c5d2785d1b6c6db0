"""The door: a request for one piece that is right in every way is answered here, where its bytes arrive.

This is a connection (connection.py) but for what it does not pass on to it: `uvicorn service.app:app --http
service.door:Door`. What is not plainly right goes on to FastAPI as it came: an unusual header, a body that does not
follow at once, anything but 68 numbers. There it is answered by the same endpoint, or told what is wrong. So the door
refuses nothing and has no words of its own, and the service gives the same bytes with it and without it. It is not for
an application that has middleware around this one: what is answered at the door does not pass that.
"""

import threading
import time
from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import simdjson
from fastapi.exceptions import RequestValidationError
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from pydantic_core import to_json

from models.features import FEATURE_BOUND, FEATURE_COUNT
from models.pieces import Piece
from service import predictions
from service.connection import Connection, Receiving
from service.hot_path import MAX_PIECE_BYTES, PredictionRoute, options_reader
from service.ledger import Answered
from service.observation import new_request_id, sane_request_id
from service.state import State

END_OF_HEAD = b"\r\n\r\n"
MAX_USUAL_HEAD_BYTES = 2048
PATIENCE = 0.05  # seconds: many clients send the body by itself, right after the head
UNUSUAL = frozenset({b"content-encoding", b"expect", b"origin", b"transfer-encoding", b"upgrade"})

ROUTES = {
    route.path.encode(): (route, options_reader(route.endpoint))
    for route in predictions.router.routes
    if isinstance(route, PredictionRoute)
}


class Head(NamedTuple):
    """What the head of a request for one piece asks for."""

    route: str
    endpoint: Callable[..., Any]
    options: Mapping[str, Any]
    headers: list[tuple[bytes, bytes]]
    request_id: bytes | None
    length: int


class Held(NamedTuple):
    """A whole request that uvicorn has not been told of."""

    door: "Door"
    state: State
    head: Head
    request: bytes
    body: bytes


class Turn(threading.local):
    """What has come in a turn of the event loop, of which a thread has one, and what its replies have in common."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.parse = simdjson.Parser().parse
        self._headers: list[tuple[bytes, bytes]] = []
        self._beginning = b""

    def beginning_of_replies(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """The first line and the server's own headers, which uvicorn makes anew every second."""
        if headers is not self._headers:
            self._headers = headers
            self._beginning = b"HTTP/1.1 200 OK\r\n" + b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._beginning


TURN = Turn()


class Door(Connection):
    """One connection."""

    holding = False
    begun = b""  # a request whose body has not come yet
    patience: TimerHandle | None = None  # with it, that is waited for
    started: float

    @property
    def answered(self) -> bool:
        """Whether all that has come is answered."""
        return not self.holding and self.patience is None and super().answered

    def data_received(self, data: bytes) -> None:
        """Holds a request for one piece until all that came at the same time are here; passes on all else."""
        if self.holding:
            answer_held()
        if self.patience:
            data = self.begun + data
        else:
            self.started = time.perf_counter()
        end = data.find(END_OF_HEAD, 0, MAX_USUAL_HEAD_BYTES) + len(END_OF_HEAD) if self._may_reply() else 0
        head = read_head(data[:end]) if end >= len(END_OF_HEAD) else None
        state = self.state
        missing = end + head.length - len(data) if head and _is_admitted(head, state) else -1
        if head and missing == 0:
            self._taken_up()
            self.holding = True
            if not TURN.held:
                self.loop.call_soon(answer_held)
            TURN.held.append(Held(self, state.copy(), head, data, data[end:]))
        elif missing > 0:
            self._unset_keepalive_if_required()
            self.begun = data
            self.patience = self.patience or self.loop.call_later(PATIENCE, self._pass_on_begun)
        else:
            self._taken_up()
            self._tell_uvicorn(data)

    def shutdown(self) -> None:
        """Ends the connection after its last reply."""
        answer_held()
        self._pass_on_begun()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leaves it to uvicorn to tell of a request that has not become whole."""
        self._pass_on_begun()
        super().connection_lost(exc)

    def answer(self, held: Held, content: bytes | None) -> None:
        """Replies with the content, or passes on what has none."""
        self.holding = False
        if content is not None:
            self.reply(held, content)
        elif not self.transport.is_closing():
            self._tell_uvicorn(held.request)

    def reply(self, held: Held, content: bytes) -> None:
        """Writes the reply, and takes down that it was given."""
        route, state = held.head.route, held.state
        request_id = held.head.request_id or new_request_id()
        content = (
            b"%bcontent-length: %d\r\ncontent-type: application/json\r\n"
            b"x-request-id: %b\r\nx-content-type-options: nosniff\r\nx-model-version: %b\r\n\r\n%b"
            % (
                TURN.beginning_of_replies(self.server_state.default_headers),
                len(content),
                request_id,
                state["bundle"].version.encode(),
                content,
            )
        )
        if not self.transport.is_closing():
            self.transport.write(content)
            if not self.timeout_keep_alive_task:
                self._look_again_after(self.timeout_keep_alive)
        self.server_state.total_requests += 1
        self.idle_since = time.perf_counter()
        state["request_id"] = request_id.decode()
        path = f"{self.root_path}{route}".encode()
        state["ledger"].enter(Answered("POST", path, route, 200, self.idle_since - self.started, state))

    def timeout_keep_alive_handler(self) -> None:
        """Ends the connection if it has been idle for so long; requests at the door leave the timer as it runs."""
        idle = 0.0 if self.holding else time.perf_counter() - self.idle_since
        if idle < self.timeout_keep_alive:
            self._look_again_after(self.timeout_keep_alive - idle)
        else:
            super().timeout_keep_alive_handler()

    def _may_reply(self) -> bool:
        """Whether no other request of this connection is under way, and the client takes replies."""
        earlier = self.cycle
        return (
            self.receiving is Receiving.NOTHING
            and not self.deaf
            and (earlier is None or earlier.response_complete)
            and not self.flow.write_paused
            and self.limit_concurrency is None
        )

    def _look_again_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _taken_up(self) -> bytes:
        """What has come of a request whose body was waited for."""
        if self.patience:
            self.patience.cancel()
        begun, self.begun, self.patience = self.begun, b"", None
        return begun

    def _pass_on_begun(self) -> None:
        if begun := self._taken_up():
            self._tell_uvicorn(begun)

    def _tell_uvicorn(self, data: bytes) -> None:
        """Passes on what has come, and with a request that begins in it when that was."""
        ours = self.app_state
        self.app_state = {**ours, "started": self.started}
        super().data_received(data)
        self.app_state = ours


def answer_held() -> None:
    """Answers all requests that are held, or passes them on.

    No reply is written before all are there: after a system call, the processor has lost its way in what comes next.
    """
    together, TURN.held = TURN.held, []
    contents = [content_of(held) for held in together]
    for held, content in zip(together, contents, strict=True):
        try:
            held.door.answer(held, content)
        except Exception:  # it is no reason to leave the others without a reply
            held.door.logger.exception("A connection failed at the door.")
            held.door.transport.abort()


def content_of(held: Held) -> bytes | None:
    """The reply's content, if the body is sound."""
    try:
        return to_json(held.head.endpoint(held.state, read_piece(held.body), **held.head.options))
    except Exception:  # whatever it is, FastAPI's way meets it too, and has words for it
        return None


def read_piece(body: bytes) -> Piece:
    """The features (68,) in an object that has nothing else. Fails in many ways for anything else."""
    document: Any = TURN.parse(body)
    features = document["features"]
    # simdjson would flatten what is nested, and skips a byte order mark.
    if len(document) != 1 or len(features) != FEATURE_COUNT or body.count(b"[") != 1 or body[0] > 127:
        raise ValueError("not a piece")
    piece: Piece = np.frombuffer(features.as_buffer(of_type="d"))
    # Where the sum of the squares is within the square of the bound, each number is within the bound.
    if piece.dot(piece) > FEATURE_BOUND**2:
        raise ValueError("it may be out of bounds")
    return piece


@lru_cache(maxsize=256)
def read_head(head: bytes) -> Head | None:
    """What a head asks for, if that is a prediction for one piece and nothing out of the ordinary.

    Clients begin their requests alike, so what a head says need not be found out anew each time.
    """
    urls: list[bytes] = []
    headers: list[tuple[bytes, bytes]] = []
    parser = HttpRequestParser(
        SimpleNamespace(on_url=urls.append, on_header=lambda name, value: headers.append((name.lower(), value)))
    )
    try:
        parser.feed_data(head)
    except (HttpParserError, HttpParserUpgrade):
        return None
    path, _, query = b"".join(urls).partition(b"?")
    values = dict(headers)
    length = values.get(b"content-length", b"")
    if not (
        path in ROUTES
        and parser.get_method() == b"POST"
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and b"#" not in query
        and len(values) == len(headers)
        and UNUSUAL.isdisjoint(values)
        and values.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"application/json"
        and length.isdigit()
        and int(length) <= MAX_PIECE_BYTES
    ):
        return None
    route, read_options = ROUTES[path]
    try:
        options = read_options(query)
    except RequestValidationError:
        return None
    return Head(route.path, route.endpoint, options, headers, sane_request_id(headers), int(length))


def _is_admitted(head: Head, state: State) -> bool:
    """Whether the client may ask this now."""
    return (
        "bundle" in state
        and not state["settings"].telemetry  # FastAPI's tells of what FastAPI answers
        and head.length <= state["settings"].max_body_bytes
        and state["keys"].authorized(head.headers)
        and not state["admission"].full
        and not state["drain"].begun
    )
