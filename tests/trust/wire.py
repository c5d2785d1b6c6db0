"""A connection on which any bytes can be sent, and replies are read as HTTP/1.1 has them."""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from service.problems import MEDIA_TYPE
from service.problems_schemas import Problem
from tests.trust.asks import Ask


class BrokenReplyError(Exception):
    """What came is no whole reply."""


@dataclass(frozen=True)
class Reply:
    """A reply; the names of its headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it is the connection's last."""
        return self.headers.get("connection", "").lower() == "close"

    def fault(self, *, of_protocol: bool) -> str | None:
        """What is wrong with it whatever was asked; errors may have the form of the Open Inference Protocol if so."""
        if self.status >= 500:
            return f"{self.status} {self.body!r}"
        if "x-request-id" not in self.headers:
            return f"{self.status} without X-Request-ID: {self.headers} {self.body!r}"
        if self.status < 400:
            return None
        if of_protocol and self.headers.get("content-type") == "application/json":
            return None if not self.body or self.body.startswith(b'{"error":"') else f"{self.status} {self.body!r}"
        if self.headers.get("content-type") != MEDIA_TYPE:
            return f"{self.status} {self.headers.get('content-type')} {self.body!r}"
        return self._fault_of_problem() if self.body else None

    def _fault_of_problem(self) -> str | None:
        try:
            problem = Problem.model_validate_json(self.body)
        except ValueError as error:
            return f"{self.status} {self.body!r}: {error}"
        same = problem.status == self.status and problem.instance == f"urn:request:{self.headers['x-request-id']}"
        return None if same and problem.detail and problem.title and problem.type else f"{self.status} {self.body!r}"


class Wire:
    """A connection; `leaves` counts the times that the server said to go on."""

    def __init__(self, url: httpx.URL, seconds: float = 30) -> None:
        self._socket = socket.create_connection((url.host, url.port or 80), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self.leaves = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_at_most(self, seconds: float) -> None:
        """Says how long to wait for what is read."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """Ends the connection."""
        self._file.close()
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Sends bytes; returns whether the other side still took them."""
        try:
            self._socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def end(self) -> None:
        """Says that nothing more will be sent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended already

    def read(self, *, to_head: bool = False) -> Reply | None:
        """The next reply, without a body if it is one to HEAD; None if the connection has ended instead.

        Raises BrokenReplyError, and TimeoutError if nothing comes.
        """
        status = 100
        while status // 100 == 1:  # leave to go on is no reply
            first = self._line()
            if first is None:
                return None
            version, _, rest = first.partition(" ")
            if version != "HTTP/1.1" or not rest[:3].isdigit():
                raise BrokenReplyError(first)
            status = int(rest[:3])
            headers = self._headers()
            self.leaves += status // 100 == 1
        if to_head or status in (204, 304):
            return Reply(status, headers, b"")
        return Reply(status, headers, self._body(headers))

    def _line(self) -> str | None:
        try:
            line = self._file.readline(2**16)
        except ConnectionError:
            return None
        if line and not line.endswith(b"\r\n"):
            raise BrokenReplyError(line)
        return line[:-2].decode("latin-1") if line else None

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while line := self._line():
            name, colon, value = line.partition(":")
            if not colon or name.lower() in headers:
                raise BrokenReplyError(line)
            headers[name.lower()] = value.strip()
        if line is None:
            raise BrokenReplyError(str(headers))
        return headers

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            chunks = []
            while chunk := self._exactly(int(self._line() or "", 16)):
                chunks.append(chunk)
                self._line()
            self._line()
            return b"".join(chunks)
        if "content-length" not in headers:
            raise BrokenReplyError(f"of no length: {headers}")
        return self._exactly(int(headers["content-length"]))

    def _exactly(self, length: int) -> bytes:
        try:
            body = self._file.read(length)
        except ConnectionError as error:
            raise BrokenReplyError("cut off") from error
        if len(body) < length:
            raise BrokenReplyError(f"cut off: {body!r}")
        return body


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    """A request with these headers, Host, and nothing else."""
    return "\r\n".join([line, "Host: here", *headers, "", ""]).encode("latin-1") + body


def raw(ask: Ask) -> bytes:
    """The bytes of an ask."""
    headers = [f"{name}: {value}" for name, value in ask.headers.items()]
    line = f"{ask.method} {ask.path} HTTP/1.1"
    return request(line, *headers, f"Content-Length: {len(ask.body)}", body=ask.body)
