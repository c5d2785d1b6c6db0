"""One connection, as uvicorn serves it, with what uvicorn has no defence against.

That is a client that keeps the service waiting: for the rest of a head, for the rest of a body, or to take a reply;
heads without measure, and requests without number; and what is no HTTP, which is told so as every other error is.
"""

import sys
import time
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Sequence
from enum import Enum, auto
from http import HTTPStatus
from typing import cast

from fastapi import Request
from httptools import HttpParserCallbackError
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.ledger import Answered
from service.observation import headers_of_every_reply, new_request_id, sane_request_id
from service.problems import problem
from service.sockets import is_readable, reset_when_closed
from service.state import State

MAX_HEAD_BYTES = 2**16
MAX_PIPELINED = 64
TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"The head of a request, or what else goes with its body, must have at most {MAX_HEAD_BYTES} bytes.",
)
LENIENCE = 1.0  # seconds, in which it is first of all for the endpoint to refuse a body that is late


class Receiving(Enum):
    """What the connection is in the middle of receiving."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class HeadTooLargeError(Exception):
    """A head has more than MAX_HEAD_BYTES."""


class TooManyRequestsError(Exception):
    """More than MAX_PIPELINED requests wait for their turn. The replies to these are the last; no more is said."""


class ReplyTransport:
    """What a reply is written to: the connection's transport, but for its head and for how it ends.

    The head goes out with what follows it. Between the two the process might be killed, and no proxy could then ask
    another for the reply that has begun.
    """

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._cycle = connection.cycle
        self._head: bytes | None = None
        self.is_closing = connection.transport.is_closing

    def write(self, data: bytes) -> None:
        """Writes what is to be sent, unless it is a head that a body follows."""
        if self._head is None and self._cycle.response_started and self._cycle.scope["method"] != "HEAD":
            self._head = data
        elif self._head:
            self._connection.transport.write(b"".join((self._head, data)))
            self._head = b""
        else:
            self._connection.transport.write(data)

    def close(self) -> None:
        """Ends the connection after what has been written."""
        if self._head:
            self.write(b"")
        self._connection.end()


class Connection(HttpToolsProtocol):
    """One connection, which is cut off if its client keeps the service waiting."""

    receiving = Receiving.NOTHING
    receiving_since = 0.0
    deaf = False  # whether what comes is dropped
    idle_since = 0.0  # when there was last a reply that uvicorn does not know of
    unread_since = 0.0  # since when the client does not take its reply, if it does not
    unparsed_bytes = 0  # that have come since the parser last told of anything
    watch: TimerHandle | None = None
    cycles: Sequence[RequestResponseCycle] = ()  # the latest, and those before it that are under way

    @property
    def state(self) -> State:
        """The parts of the service, shared by all connections."""
        return cast(State, self.app_state)

    @property
    def answered(self) -> bool:
        """Whether all that has come is answered."""
        return self.receiving is Receiving.NOTHING and (self.cycle is None or self.cycle.response_complete)

    @property
    def awaited(self) -> bool:
        """Whether a request or a reply is still to come: a connection is made for at least one."""
        return not self.answered or (self.cycle is None and not self.idle_since)

    def connection_made(self, transport: BaseTransport) -> None:
        """Begins to watch the client."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.receiving_since = time.perf_counter()
        if "settings" in self.state:
            self._look_again_in(self.state["settings"].request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the watch, and all requests that are under way."""
        if self.watch:
            self.watch.cancel()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what has come, if it comes to something."""
        if self.deaf:
            return
        self.unparsed_bytes += len(data)
        seen = self.unparsed_bytes
        super().data_received(data)
        if self.unparsed_bytes == seen > MAX_HEAD_BYTES:
            self._refuse(*TOO_LARGE)

    def on_message_begin(self) -> None:
        """Is told by the parser that a request begins."""
        if len(self.pipeline) >= MAX_PIPELINED:
            raise TooManyRequestsError
        self.receiving, self.receiving_since, self.unparsed_bytes = Receiving.HEAD, time.perf_counter(), 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Is told by the parser of a header; one that follows the body is none that anybody reads."""
        if self.receiving is Receiving.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Is told by the parser that a head is whole."""
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            raise HeadTooLargeError
        self.scope["state"]["pipeline"] = self.pipeline
        super().on_headers_complete()
        self.cycle.transport = cast(Transport, ReplyTransport(self))
        self.cycles = [*(cycle for cycle in self.cycles if not cycle.response_complete), self.cycle]
        self.receiving, self.receiving_since, self.unparsed_bytes = Receiving.BODY, time.perf_counter(), 0

    def on_body(self, body: bytes) -> None:
        """Is told by the parser of a part of a body."""
        self.unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Is told by the parser that a request is whole."""
        self.receiving, self.unparsed_bytes = Receiving.NOTHING, 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Is told by the transport that the client takes less than it is sent."""
        self.unread_since = time.perf_counter()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Is told by the transport that the client has taken what it was sent."""
        self.unread_since = 0.0
        super().resume_writing()

    def shutdown(self) -> None:
        """Ends the connection after its last reply: now, unless more has come meanwhile."""
        if not (self.answered and is_readable(self._descriptor)):
            super().shutdown()

    def end(self) -> None:
        """Closes after the reply; if more is still to come, only after a moment in which that is dropped.

        Closed on what nobody has read, the connection would be reset, and the reply might be lost.
        """
        self.pipeline.clear()
        if (self.receiving is Receiving.NOTHING and not self.deaf) or self.transport.is_closing():
            self.transport.close()
        else:
            self.deaf = True
            self.transport.write_eof()
            self.loop.call_later(LENIENCE, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuses what the parser has failed on."""
        error = sys.exception()
        if not isinstance(error, HttpParserCallbackError):
            refusal = HTTPStatus.BAD_REQUEST, f"This is no HTTP request: {error or msg}."
        elif isinstance(error.__context__, HeadTooLargeError):
            refusal = TOO_LARGE
        else:
            refusal = HTTPStatus.BAD_REQUEST, "The target of the request is no path."
        self._refuse(*refusal)

    def _should_upgrade(self) -> bool:
        return False  # to nothing: what asks for it is answered as what does not

    def _unsupported_upgrade_warning(self) -> None:
        pass

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Sends an error as the last reply, unless others are still to come: then the last of them is that."""
        cycle = self.cycle
        is_replied_to = self.receiving is Receiving.BODY and not self.pipeline  # before it is whole
        if self.deaf:
            return
        if is_replied_to and cycle.response_complete:
            self.end()
        elif is_replied_to and not cycle.response_started:
            cycle.disconnected = True  # its endpoint takes note, and has no reply to give any more
            cycle.message_event.set()
            self._end_with(self._refusal(status, detail))
        elif cycle and not cycle.response_complete:
            cycle.keep_alive = False
            self.deaf = True
        else:
            self._end_with(self._refusal(status, detail))

    def _end_with(self, reply: bytes) -> None:
        self.deaf = True
        if not self.transport.is_closing():
            self.transport.write(reply)
        self.end()

    def _refusal(self, status: HTTPStatus, detail: str) -> bytes:
        request_id = sane_request_id(self.headers or ()) or new_request_id()
        state = self.cycle.scope["state"] if self.receiving is Receiving.BODY else {**self.state}
        state["request_id"] = request_id.decode()
        scope: Scope = {"type": "http", "path": "", "root_path": self.root_path, "headers": [], "state": state}
        reply = problem(Request(scope), status, detail, headers={"Connection": "close"})
        headers = [*self.server_state.default_headers, *reply.raw_headers]
        headers += headers_of_every_reply(request_id, self.state.get("bundle"))
        if "ledger" in state and self.receiving is not Receiving.BODY:  # or else its endpoint has it logged
            seconds = time.perf_counter() - self.receiving_since
            self.state["ledger"].enter(Answered("-", b"", "malformed", status, seconds, state))
        lines = [b"%b: %b\r\n" % header for header in headers]
        return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(reply.body)])

    def _disconnect(self) -> None:
        """Tells all requests under way that nobody is there any more; uvicorn tells the last one only."""
        for cycle in self.cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def _look_again_in(self, seconds: float) -> None:
        self.watch = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Cuts the connection off if its client has kept the service waiting for too long."""
        patience, now = self.state["settings"].request_timeout, time.perf_counter()
        left = self._waiting_since(now) + patience - now
        self._look_again_in(left if left > 0 else patience)
        if left <= 0:
            self._cut_off(patience)

    def _waiting_since(self, now: float) -> float:
        """Since when the service waits for the client. Between two requests a timer of uvicorn's runs instead."""
        if self.transport.is_closing() and not self.unread_since:
            self.unread_since = now
        if self.unread_since:
            return self.unread_since
        if self.receiving is not Receiving.NOTHING:
            return self.receiving_since + (LENIENCE if self.receiving is Receiving.BODY else 0)
        idle = self.answered and self.timeout_keep_alive_task is None
        return max(self.receiving_since, self.idle_since) if idle else now

    def _cut_off(self, patience: float) -> None:
        if self.unread_since:
            self._disconnect()
            reset_when_closed(self._descriptor)
            self.transport.abort()
        elif self.answered:
            self.transport.close()
        else:
            what = "head" if self.receiving is Receiving.HEAD else "body"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The {what} must arrive within {patience:g} seconds.")

    @property
    def _descriptor(self) -> int:
        descriptor: int = self.transport.get_extra_info("socket").fileno()
        return descriptor
