"""Requests whose end is in doubt: who reads them in another way than the service takes what follows for a request."""

from collections.abc import Iterator

from tests.service.door_requests import PIECE
from tests.trust.wire import request

HIDDEN = request(
    "POST /genre HTTP/1.1",
    "Content-Type: application/json",
    "X-Request-ID: hidden",
    f"Content-Length: {len(PIECE)}",
    body=PIECE,
)
LENGTH = f"Content-Length: {len(HIDDEN)}"
CHUNKED = "Transfer-Encoding: chunked"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
ENDED = b"0\r\n\r\n" + HIDDEN


def _post(*headers: str, body: bytes, path: str = "/genre/batch", method: str = "POST") -> bytes:
    return request(f"{method} {path} HTTP/1.1", "Content-Type: application/json", *headers, body=body)


def no_requests() -> Iterator[tuple[str, bytes]]:
    """What must be refused, and end the connection: nobody can say where it ends. With names."""
    none = "Content-Length: 0"
    yield "two lengths", _post(none, LENGTH, body=HIDDEN)
    yield "two lengths, the longer first", _post(LENGTH, none, body=HIDDEN)
    for value in (
        "+0", "-0", "0x0", "0,0", "0, 5", "0 5", "0;", "0\x0b", '"0"', "", "0.0", "1e1", "99999999999999999999",
    ):  # fmt: skip
        yield f"a length of {value!r}", _post(f"Content-Length: {value}", body=HIDDEN)
    yield "a length and chunks", _post(LENGTH, CHUNKED, body=ENDED)
    yield "chunks and a length", _post(CHUNKED, none, body=CHUNK)
    for value in (
        "xchunked", "chunkedx", "identity", "chunked, identity", "chunked, chunked", "chunked;q=1", '"chunked"', "cow",
        "chunked\x0b", "\x0bchunked", "chunked\x00", "gzip", "chunked,", ",chunked, x",
    ):  # fmt: skip
        yield f"an encoding of {value!r} and a length", _post(f"Transfer-Encoding: {value}", LENGTH, body=ENDED)
        yield f"an encoding of {value!r}", _post(f"Transfer-Encoding: {value}", body=ENDED)
    yield "two encodings", _post(CHUNKED, "Transfer-Encoding: identity", body=ENDED)
    yield "chunks twice", _post(CHUNKED, CHUNKED, body=ENDED)
    for name in (
        "Content-Length ", "Content-Length\t", "Content Length", "Content-Length\x00", "Content-\rLength", " X",
    ):  # fmt: skip
        yield f"a name as {name!r}", _post(f"{name}: 0", body=HIDDEN)
        yield f"a name as {name!r} beside a length", _post(f"{name}: 0", LENGTH, body=HIDDEN)
    for name in ("Transfer-Encoding ", "Transfer-Encoding\t", "Transfer-Encoding\x00", "Transfer-Encoding\x0b"):
        yield f"a name as {name!r}", _post(f"{name}: chunked", LENGTH, body=ENDED)
    yield "a folded length", _post("Content-Length:\r\n 0", body=HIDDEN)
    yield "a folded encoding", _post("Transfer-Encoding:\r\n chunked", LENGTH, body=ENDED)
    yield "a folded line", _post("X-Note: a\r\n Content-Length: 0", LENGTH, body=HIDDEN)
    yield "a folded first line", request("POST /genre/batch HTTP/1.1\r\n X: y", LENGTH, body=HIDDEN)
    yield "lines that end in CR", _post(f"X-Note: a\rContent-Length: 0\rX: {LENGTH}", body=HIDDEN)
    yield "lines that end in LF", _post(LENGTH, body=b"").replace(b"\r\n", b"\n") + HIDDEN
    yield "a line that ends in LF", _post("X-Note: a\nContent-Length: 0", LENGTH, body=HIDDEN)
    yield "a head that ends in LF", _post(LENGTH, body=b"")[:-2] + b"\n" + HIDDEN
    yield "a header without a colon", _post("Content-Length", LENGTH, body=HIDDEN)
    yield "a tunnel", request("CONNECT here:80 HTTP/1.1", LENGTH, body=HIDDEN)
    yield from _wrong_chunks()


def _wrong_chunks() -> Iterator[tuple[str, bytes]]:
    size = f"{len(HIDDEN):x}"
    for value in (
        f"0x{size}", f"+{size}", f"-{size}", f" {size}", f"{size} ", f"{size}\t", f"{size} x", f"1{size:0>16}",
        "f" * 17, "", "\x00", f"{size}\n", f"{size};a=\n", f"{size};a=b\nc", f"{size};\x00", f"{size}\r\r", f"{size},0",
        "g",
    ):  # fmt: skip
        yield f"a chunk of {value!r}", _post(CHUNKED, body=value.encode() + CHUNK[len(size) :])
    yield "a chunk longer than it says", _post(CHUNKED, body=b"1\r\nabc\r\n" + ENDED)
    yield "a chunk that ends in LF", _post(CHUNKED, body=b"1\r\na\n" + ENDED)
    yield "a chunk's size that ends in LF", _post(CHUNKED, body=b"1\na\r\n" + ENDED)
    yield "an end in LF", _post(CHUNKED, body=b"0\n\n" + HIDDEN)
    yield "a last chunk with a body", _post(CHUNKED, body=b"0\r\n" + b"abc\r\n\r\n" + HIDDEN)


def requests() -> Iterator[tuple[str, bytes]]:
    """What is one request, however it is answered: all that is hidden is in its body. With names."""
    for method, path in (
        ("GET", "/health/live"), ("GET", "/"), ("GET", "/docs"), ("HEAD", "/health/live"), ("OPTIONS", "/genre"),
        ("DELETE", "/genre"), ("PUT", "/nowhere"), ("POST", "/nowhere"), ("POST", "/v2/nowhere"), ("POST", "/docs"),
        ("POST", "/genre"), ("POST", "/genre/batch"), ("POST", "/v2/models/genre/infer"),
        ("POST", "/v2/models/x/infer"), ("TRACE", "/genre"), ("GET", "/metrics"), ("POST", "/origin?top=no"),
    ):  # fmt: skip
        yield f"{method} {path} with a body", _post(LENGTH, body=HIDDEN, path=path, method=method)
        yield f"{method} {path} in chunks", _post(CHUNKED, body=CHUNK, path=path, method=method)
    yield "a body of no known form", _post(LENGTH, "Content-Type: a/b", body=HIDDEN)
    yield "a body of no known compression", _post(LENGTH, "Content-Encoding: x", body=HIDDEN)
    yield "a body that is expected", _post(LENGTH, "Expect: 100-continue", body=HIDDEN)
    yield "a body of which nothing is expected", _post(LENGTH, "Expect: x", body=HIDDEN)
    yield "a length with zeros before it", _post(f"Content-Length: 000{len(HIDDEN)}", body=HIDDEN)
    yield "another spelling", _post(f"content-LENGTH:{len(HIDDEN)}", body=HIDDEN)
    yield "a chunk with an extension", _post(CHUNKED, body=CHUNK.replace(b"\r\n", b";a=b;c\r\n", 1))
    yield "chunks and a trailer", _post(CHUNKED, body=CHUNK[:-2] + b"Content-Length: 5\r\nX-Request-ID: hidden\r\n\r\n")
    yield "an encoding in capitals", _post("Transfer-Encoding: CHUNKED", body=CHUNK)
    yield "two encodings, chunked last", _post("Transfer-Encoding: cow", CHUNKED, body=CHUNK)
    yield "two encodings in one, chunked last", _post("Transfer-Encoding: cow, chunked", body=CHUNK)
    yield "underscores", _post(LENGTH, "Content_Length: 0", "Transfer_Encoding: chunked", body=HIDDEN)
    yield "another method for the service", _post(LENGTH, "X-HTTP-Method-Override: GET", body=HIDDEN)


def last_requests() -> Iterator[tuple[str, bytes]]:
    """What may be answered, and ends the connection: what follows is nothing to the service. With names."""
    yield "a close and a request", _post("Connection: close", "Content-Length: 0", body=HIDDEN)
    yield "HTTP/1.0 and a request", _post("Content-Length: 0", body=HIDDEN).replace(b"/1.1", b"/1.0", 1)
    yield "HTTP/1.0 in chunks", _post(CHUNKED, "Connection: keep-alive", body=ENDED).replace(b"/1.1", b"/1.0", 1)
    for line in ("Upgrade: h2c", "Upgrade: websocket", "Upgrade: TLS/1.0", "Upgrade: x"):
        yield f"{line} with a body", _post("Connection: Upgrade", line, LENGTH, body=HIDDEN)
        yield f"{line} of a piece", _post("Connection: Upgrade", line, LENGTH, body=HIDDEN, path="/genre")
        yield f"{line} with GET", request("GET /health/live HTTP/1.1", "Connection: Upgrade", line, LENGTH, body=HIDDEN)
    yield "a tunnel to a path", request("CONNECT /genre HTTP/1.1", body=HIDDEN)
