"""What is on the wire: no request within another, the headers of every reply, and names that a client makes up."""

from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest

from tests.conftest import WITH_DOOR, RunServer
from tests.service.door_requests import PIECE
from tests.trust import smuggling
from tests.trust.conftest import Record
from tests.trust.wire import BrokenReplyError, Reply, Wire, request

NEXT = request("GET /health/live HTTP/1.1", "X-Request-ID: next")


# Without the door it is for an option to say that there are no WebSockets here.
@pytest.fixture(scope="module", params=[WITH_DOOR, ("--ws", "none")], ids=["door", "no door"])
def url(request: pytest.FixtureRequest, run_server: RunServer) -> Iterator[httpx.URL]:
    with run_server(http=request.param) as server:
        yield server.client.base_url


def replies_to(url: httpx.URL, sent: bytes) -> tuple[list[Reply], str]:
    """The replies to what is sent and to a request after it, and how it ended: with this one's, or the connection."""
    replies: list[Reply] = []
    with Wire(url, seconds=3) as wire:
        wire.send(sent)
        wire.send(NEXT)
        try:
            while reply := wire.read(to_head=sent.startswith(b"HEAD") and not replies):
                if reply.headers.get("x-request-id") == "next":
                    return replies, "next"
                replies.append(reply)
        except TimeoutError:
            return replies, "waits"
        except BrokenReplyError as error:
            return replies, repr(error)
    return replies, "end"


def is_hidden(replies: list[Reply]) -> bool:
    return any(reply.headers.get("x-request-id") == "hidden" for reply in replies)


def is_refused(replies: list[Reply], end: str) -> bool:
    return [reply.status for reply in replies] == [400] and end == "end"


def is_one(replies: list[Reply], end: str) -> bool:
    return len(replies) == 1 and (end == "next" or (end == "end" and replies[0].closes))


def is_last(replies: list[Reply], end: str) -> bool:
    return len(replies) == 1 and replies[0].closes and end == "end"


def test_no_request_is_found_within_another(url: httpx.URL, record: Record) -> None:
    kinds: dict[Callable[[list[Reply], str], bool], Iterator[tuple[str, bytes]]] = {
        is_refused: smuggling.no_requests(),
        is_one: smuggling.requests(),
        is_last: smuggling.last_requests(),
    }
    wrong = []
    count = 0
    for is_right, cases in kinds.items():
        for name, sent in cases:
            count += 1
            replies, end = replies_to(url, sent)
            if is_hidden(replies) or not is_right(replies, end):
                wrong.append(
                    f"{name}: {[(reply.status, reply.headers.get('x-request-id')) for reply in replies]} {end}"
                )
    record(
        f"{count} requests whose end is in doubt, each with another within it",
        "; ".join([f"{len(wrong)} answered otherwise than they should be", *wrong[:3]]),
        "none",
        not wrong,
    )


def test_a_request_after_another_is_found(url: httpx.URL) -> None:
    """So that the test above would see it."""
    replies, end = replies_to(url, request("GET /health/live HTTP/1.1") + smuggling.HIDDEN)
    assert (len(replies), is_hidden(replies), end) == (2, True, "next")


HOSTILE = (
    "evil.example",
    "evil.example:99999",
    "[::1",
    "a b",
    "",
    "../..",
    "é",
    "<script>",
    "x" * 4_000,
    "127.0.0.1:1",
)
FORWARDED = (
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Proto",
    "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP", "X-Host", "Via",
)  # fmt: skip


def everywhere(url: httpx.URL) -> Iterator[tuple[str, str]]:
    """Every method and path of the document, and those that it leaves out."""
    document = httpx.get(url.join("/openapi.json")).json()
    version = httpx.get(url.join("/model")).json()["model_version"]
    for path, operations in document["paths"].items():
        for method in operations:
            yield method.upper(), path.replace("{model}", "genre").replace("{version}", version)
    for path in (
        "/", "/docs", "/redoc", "/openapi.json", "/problems", "/problems/not-found", "/docs/assets/favicon.png",
        "/docs/assets/redoc.standalone.js", "/model/plots/scree.svg", "/nowhere", "/docs/", "/v2/nowhere",
        "/docs/assets",
    ):  # fmt: skip
        yield "GET", path


def answer(wire: Wire, method: str, path: str, *headers: str, host: str = "here") -> Reply:
    """The reply, without its date, and without the figures of a second ago."""
    body = PIECE if method == "POST" else b""
    lines = ["Content-Type: application/json", "X-Request-ID: same", f"Content-Length: {len(body)}", *headers]
    wire.send(request(f"{method} {path} HTTP/1.1", *lines, body=body).replace(b"Host: here", b"Host: " + host.encode()))
    reply = wire.read(to_head=method == "HEAD")
    assert reply, (path, headers)
    left_out = {"date", "content-length"} if path == "/metrics" else {"date"}
    kept = {name: value for name, value in reply.headers.items() if name not in left_out}
    return Reply(reply.status, kept, b"" if path == "/metrics" else reply.body)


def test_names_that_a_client_makes_up_change_nothing(url: httpx.URL, record: Record) -> None:
    changed = []
    count = 0
    with Wire(url) as wire:
        for method, path in everywhere(url):
            expected = answer(wire, method, path)
            for hostile in HOSTILE:
                headers = [f"{name}: {hostile}" for name in FORWARDED] + [
                    f"Forwarded: for={hostile};host={hostile};proto=https"
                ]
                replies = [answer(wire, method, path, host=hostile), answer(wire, method, path, *headers)]
                changed += [f"{method} {path} {hostile[:20]}" for reply in replies if reply != expected]
                count += len(replies)
            changed += [
                f"{method} {name}{path}"
                for name in ("http://evil.example", "https://evil.example:1")
                if path != "/metrics" and answer(wire, method, f"{name}{path}") != expected
            ]
            count += 2
    record(
        f"{count:,} replies to hosts and proxies that are made up",
        "; ".join([f"{len(changed)} changed", *changed[:3]]),
        "none",
        not changed,
    )


def test_every_reply_has_the_headers_that_guard_it(url: httpx.URL, record: Record) -> None:
    asked = {f"{method} {path}": request(f"{method} {path} HTTP/1.1") for method, path in everywhere(url)}
    asked |= {f"HEAD {path}": request(f"HEAD {path} HTTP/1.1") for method, path in everywhere(url) if method == "GET"}
    asked |= {f"a piece for {path}": good_piece(path) for path in ("/genre", "/origin", "/north-of-20")}
    asked |= {"OPTIONS": request("OPTIONS /genre HTTP/1.1"), "*": request("OPTIONS * HTTP/1.1")}
    asked |= dict(smuggling.last_requests())
    replies, wrong = faults_of_headers(url, asked)
    record(
        f"headers of {replies} replies of all kinds",
        "; ".join([f"{len(wrong)} faults", *wrong[:3]]),
        "nosniff, no version of the server, an id, errors as problems",
        not wrong,
    )


def test_replies_to_no_requests_have_them_too(run_server: RunServer, record: Record) -> None:
    """By the door: without it, these are uvicorn's own."""
    with run_server() as server:
        replies, wrong = faults_of_headers(server.client.base_url, dict(smuggling.no_requests()))
    record(
        f"headers of {replies} replies to what is no request",
        "; ".join([f"{len(wrong)} faults", *wrong[:3]]),
        "nosniff, no version of the server, an id, errors as problems",
        not wrong,
    )


def faults_of_headers(url: httpx.URL, asked: Mapping[str, bytes]) -> tuple[int, list[str]]:
    """How many replies there are to what is asked, and what is wrong with their headers."""
    wrong = []
    replies = 0
    for name, sent in asked.items():
        with Wire(url, seconds=3) as wire:
            wire.send(sent)  # and nothing after it, which the door would leave to uvicorn
            try:
                reply = wire.read(to_head=sent.startswith(b"HEAD"))
            except TimeoutError:
                reply = None
        if not reply:
            wrong.append(f"{name}: no reply")
        else:
            replies += 1
            server = reply.headers.get("server", "")
            if reply.headers.get("x-content-type-options") != "nosniff":
                wrong.append(f"{name}: {reply.status} may be sniffed")
            if any(character.isdigit() for character in server) or "x-powered-by" in reply.headers:
                wrong.append(f"{name}: {reply.status} says {server}")
            if fault := reply.fault(of_protocol=b"/v2" in sent):
                wrong.append(f"{name}: {fault}")
    return replies, wrong


def good_piece(path: str) -> bytes:
    lines = ("Content-Type: application/json", f"Content-Length: {len(PIECE)}")
    return request(f"POST {path} HTTP/1.1", *lines, body=PIECE)
