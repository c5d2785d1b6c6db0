"""One connection, as uvicorn serves it, with what uvicorn has no defence against.

That is whoever keeps the service waiting: for the rest of a head, for the rest of a body, or to take a reply; a head
without measure; and what is no HTTP, which is told so as every other error is.
"""

import os
import socket
import struct
import sys
import time
from asyncio import BaseTransport, TimerHandle, Transport
from collections.abc import Sequence
from enum import Enum, auto
from http import HTTPStatus
from selectors import EVENT_READ, DefaultSelector
from typing import cast

from fastapi import Request
from httptools import HttpParserCallbackError
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.ledger import Answered
from service.observation import headers_of_every_reply, new_request_id, sane_request_id
from service.problems import problem
from service.state import State

MAX_HEAD_BYTES = 2**16
LENIENCE = 1.0  # seconds, in which it is first of all for the endpoint to refuse a body that is late


class Receiving(Enum):
    """What the connection is in the middle of receiving."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    REFUSED = auto()  # whatever it is, it is not looked at


class HeadTooLargeError(Exception):
    """A head has more than MAX_HEAD_BYTES."""


class ReplyTransport:
    """What a reply is written to: the connection's transport, but for how it ends."""

    def __init__(self, connection: "Connection") -> None:
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.end


class Connection(HttpToolsProtocol):
    """One connection, which is cut off if its client keeps the service waiting."""

    receiving = Receiving.NOTHING
    receiving_since = 0.0
    unread_since = 0.0  # since when the client does not take its reply, if it does not
    head_bytes = 0
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
        return self.cycle is None or not self.answered

    def connection_made(self, transport: BaseTransport) -> None:
        """Begins to watch the client."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.receiving_since = time.perf_counter()
        if "settings" in self.state:
            self._look_again_in(self.state["settings"].request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends that."""
        if self.watch:
            self.watch.cancel()
        self._disconnect()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what has come."""
        if self.receiving is Receiving.REFUSED:
            return
        super().data_received(data)
        if self.receiving is Receiving.HEAD:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES:
                self._refuse(*_too_large())

    def on_message_begin(self) -> None:
        """Is told by the parser that a request begins."""
        self.receiving, self.receiving_since, self.head_bytes = Receiving.HEAD, time.perf_counter(), 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Is told by the parser that a head is whole."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            raise HeadTooLargeError
        super().on_headers_complete()
        self.receiving, self.receiving_since = Receiving.BODY, time.perf_counter()
        self.cycle.transport = cast(Transport, ReplyTransport(self))
        self.cycles = [*(cycle for cycle in self.cycles if not cycle.response_complete), self.cycle]

    def on_message_complete(self) -> None:
        """Is told by the parser that a request is whole."""
        self.receiving = Receiving.NOTHING
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
        if not (self.answered and _is_readable(self.transport)):
            super().shutdown()

    def end(self) -> None:
        """Closes after the reply; if more is still to come, only after a moment in which that is read and dropped.

        Closed on what nobody has read, the connection would be reset, and the reply might be lost.
        """
        if self.receiving is Receiving.NOTHING or self.transport.is_closing():
            self.transport.close()
        else:
            self.receiving = Receiving.REFUSED
            self.transport.write_eof()
            self.loop.call_later(LENIENCE, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuses what the parser has failed on."""
        error = sys.exception()
        if isinstance(error, HttpParserCallbackError):
            too_large = isinstance(error.__context__, HeadTooLargeError)
            refusal = _too_large() if too_large else (HTTPStatus.BAD_REQUEST, "The target of the request is no path.")
        else:
            refusal = HTTPStatus.BAD_REQUEST, f"This is no HTTP request: {error or msg}."
        self._refuse(*refusal)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Sends an error and no more, unless a reply to an earlier request is still to come: then that is the last."""
        cycle = self.cycle
        if self.receiving is Receiving.BODY and not self.pipeline and not cycle.response_started:
            cycle.disconnected = True  # its endpoint waits for the rest, takes note, and has no reply to give any more
            cycle.message_event.set()
        elif cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            return
        if not self.transport.is_closing():
            self.transport.write(self._refusal(status, detail))
            self.receiving = Receiving.REFUSED
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
        if left <= 0:
            self._cut_off(patience)
        self._look_again_in(left if left > 0 else patience)

    def _waiting_since(self, now: float) -> float:
        """Since when the service waits for the client. Between two requests a timer of uvicorn's runs instead."""
        if self.transport.is_closing() and not self.unread_since:
            self.unread_since = now
        if self.unread_since:
            return self.unread_since
        if self.receiving is not Receiving.NOTHING:
            return self.receiving_since + (LENIENCE if self.receiving is Receiving.BODY else 0)
        return self.receiving_since if self.answered and self.timeout_keep_alive_task is None else now

    def _cut_off(self, patience: float) -> None:
        if self.unread_since or self.receiving is Receiving.REFUSED:
            self._disconnect()
            _reset(self.transport)
        elif self.answered or (self.receiving is Receiving.BODY and self.cycle.response_complete):
            self.transport.close()
        else:
            what = "head" if self.receiving is Receiving.HEAD else "body"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The {what} must arrive within {patience:g} seconds.")


def _too_large() -> tuple[HTTPStatus, str]:
    detail = f"The head of a request must have at most {MAX_HEAD_BYTES} bytes."
    return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail


def _reset(transport: Transport) -> None:
    """Closes a connection for good; the system would go on offering what was written to a client that takes none."""
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _is_readable(transport: BaseTransport) -> bool:
    """Whether bytes have come that nobody has looked at yet."""
    with DefaultSelector() as selector:
        selector.register(transport.get_extra_info("socket").fileno(), EVENT_READ)
        return bool(selector.select(0))
