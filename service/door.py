"""The door: what asks for one piece and is right in every way is answered here, where its bytes arrive.

This is uvicorn's own HTTP protocol but for requests that it holds back while they are parsed, to answer all that came
at once together: `uvicorn service.app:app --http service.door:Door`. What is not plainly right goes on to FastAPI as it
came: an unusual header, a body that is still on its way, what are not 68 numbers. There it is answered by the same
endpoint, or told what is wrong. So the door refuses nothing and has no words of its own, and the service gives the same
bytes with it and without it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import simdjson
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from models.features import FEATURE_BOUND, FEATURE_COUNT
from models.pieces import Piece
from service import predictions
from service.hot_path import MAX_PIECE_BYTES, PredictionRoute, ReadOptions, options_reader
from service.ledger import Answered
from service.observation import choose_request_id
from service.state import State

JSON = b"application/json"
UNUSUAL = frozenset({b"content-encoding", b"expect", b"origin", b"upgrade"})


class Operation(NamedTuple):
    """What a route does with a piece."""

    path: str
    endpoint: Callable[..., Any]
    read_options: ReadOptions


OPERATIONS = {
    route.path.encode(): Operation(route.path, route.endpoint, options_reader(route.endpoint))
    for route in predictions.router.routes
    if isinstance(route, PredictionRoute)
}


@dataclass(slots=True)
class Held:
    """A request that uvicorn has not been told of."""

    door: "Door"
    operation: Operation
    state: State
    query: bytes
    body: bytes = b""
    whole: bool = False


class Turn(threading.local):
    """What has come in a turn of the event loop, of which a thread has one."""

    def __init__(self) -> None:
        self.waiting: list[Held] = []
        self.parse = simdjson.Parser().parse


TURN = Turn()


class Door(HttpToolsProtocol):
    """One connection."""

    held: Held | None = None
    started: float

    def data_received(self, data: bytes) -> None:
        """Takes bytes. A request of which more are to come is not held back any longer."""
        self.started = time.perf_counter()
        super().data_received(data)
        if self.held and not self.held.whole:
            self.hand_over(self.held)

    def on_message_begin(self) -> None:
        """Begins with a request, once the one before it has its reply."""
        if self.held:
            answer_waiting()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Holds the request back if it may be one to answer here."""
        path, _, query = self.url.partition(b"?")
        operation = OPERATIONS.get(path)
        if operation and self._is_plain(query) and self._may_reply():
            self.held = Held(self, operation, self._state, query)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keeps a part of the body."""
        if self.held:
            self.held.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Lets the request wait for the others that have come at the same time."""
        if self.held:
            self.held.whole = True
            if not TURN.waiting:
                self.loop.call_soon(answer_waiting)
            TURN.waiting.append(self.held)
        else:
            super().on_message_complete()

    def shutdown(self) -> None:
        """Ends the connection after its last reply."""
        answer_waiting()
        super().shutdown()

    def hand_over(self, held: Held) -> None:
        """Tells uvicorn of the request."""
        self.held = None
        super().on_headers_complete()
        if held.body:
            super().on_body(held.body)
        if held.whole:
            super().on_message_complete()

    def write(self, held: Held, content: bytes) -> None:
        """Writes the reply, and takes down that it was given."""
        self.held = None
        request_id, path = choose_request_id(self.headers), held.operation.path
        head = (
            b"content-length: %d\r\ncontent-type: application/json\r\nx-request-id: %b\r\nx-model-version: %b\r\n\r\n"
            % (len(content), request_id, held.state["bundle"].version.encode())
        )
        first = [b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in self.server_state.default_headers)]
        self.transport.write(b"".join([*first, head, content]))
        held.state["request_id"] = request_id.decode()
        request = {"method": "POST", "raw_path": path.encode(), "state": held.state}
        held.state["ledger"].enter(Answered(request, path, 200, time.perf_counter() - self.started))
        self.on_response_complete()

    @property
    def _state(self) -> State:
        return cast(State, self.scope["state"])

    def _is_plain(self, query: bytes) -> bool:
        """Whether the head of the request asks for nothing out of the ordinary."""
        headers = dict(self.headers)
        return (
            self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and b"#" not in query
            and len(headers) == len(self.headers)
            and UNUSUAL.isdisjoint(headers)
            and _is_json(headers)
        )

    def _may_reply(self) -> bool:
        """Whether the client may ask, and be answered at once."""
        state, earlier = self._state, self.cycle
        return (
            "bundle" in state
            and not state["settings"].telemetry  # FastAPI's tells of what FastAPI answers
            and state["keys"].authorized(self.headers)
            and not state["admission"].full
            and (earlier is None or earlier.response_complete)
            and not self.flow.write_paused
        )


def answer_waiting() -> None:
    """Answers all requests that wait, or hands them over.

    No reply is written before all are there: after a system call, the processor has lost its way in what comes next.
    """
    waiting, TURN.waiting = TURN.waiting, []
    contents = [reply_to(held) for held in waiting]
    for held, content in zip(waiting, contents, strict=True):
        door = held.door
        if door.transport.is_closing():
            door.held = None
        elif content is None:
            door.hand_over(held)
        else:
            door.write(held, content)


def reply_to(held: Held) -> bytes | None:
    """The reply to a request, if its query and body are sound."""
    operation, state = held.operation, held.state
    if len(held.body) > min(MAX_PIECE_BYTES, state["settings"].max_body_bytes):
        return None
    try:
        piece = read_piece(held.body)
        return to_json(operation.endpoint(state, piece, **operation.read_options(held.query)))
    except Exception:  # whatever it is, FastAPI's way meets it too, and has words for it
        return None


def read_piece(body: bytes) -> Piece:
    """The features (68,) in an object that has nothing else. Fails in many ways for anything else."""
    document: Any = TURN.parse(body)
    features = document["features"]
    if len(document) != 1 or len(features) != FEATURE_COUNT or body.count(b"[") != 1:  # it flattens what is nested
        raise ValueError("not a piece")
    piece: Piece = np.frombuffer(features.as_buffer(of_type="d"))
    # Where the sum of the squares is within the square of the bound, each number is within the bound.
    if piece.dot(piece) > FEATURE_BOUND**2:
        raise ValueError("it may be out of bounds")
    return piece


def _is_json(headers: Mapping[bytes, bytes]) -> bool:
    given = headers.get(b"content-type", b"")
    return given == JSON or given.partition(b";")[0].strip().lower() == JSON
