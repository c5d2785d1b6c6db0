"""What is answered at the door, what is passed on, and that nobody can tell which it was."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from service.door import MAX_USUAL_HEAD_BYTES, read_piece
from service.hot_path import MAX_PIECE_BYTES, validate_piece
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import RunServer, damaged, module
from tests.service.door_requests import END_OF_HEAD, LATE, NO_APPLICATION, PASSED_ON, PIECE, parted, replies, request

AT_THE_DOOR: dict[str, Sequence[bytes | float]] = {
    "genre": [request()],
    "north of 20": [request(line="POST /north-of-20 HTTP/1.1")],
    "origin": [request(line="POST /origin HTTP/1.1")],
    "options": [request(line="POST /north-of-20?network=hidden&calibrated=false HTTP/1.1")],
    "no options": [request(line="POST /origin? HTTP/1.1")],
    "again": [request(), 0.01, request(), 0.01, request(line="POST /origin?top=3 HTTP/1.1")],
    "charset": [request(PIECE, kind="Application/JSON; charset=utf-8")],
    "further headers": [request(PIECE, "ACCEPT: */*", "User-Agent: test", "Accept-Encoding: gzip")],
    "no id": [request().replace(b"X-Request-ID: mine", b"X-Request-ID: not a good one")],
    "body by itself": [request(b"", length=len(PIECE)), 0.005, PIECE],
    "body in parts": [part for each in parted(request(), END_OF_HEAD, END_OF_HEAD + 9, 500) for part in (each, 0.005)],
    "spaces": [request(b" \n" + PIECE.replace(b",", b" ,\t") + b"\r\n")],
    "whole numbers": [request(json.dumps({"features": [*range(-34, 34)]}).encode())],
}


def piece_with(value: str) -> bytes:
    return PIECE.replace(b"[", b"[%b," % value.encode(), 1).replace(b", %b]" % str(EXAMPLE_FEATURES[-1]).encode(), b"]")


ELSEWHERE: dict[str, Sequence[bytes | float]] = {
    "GET": [request(b"", line="GET /genre HTTP/1.1")],
    "PUT": [request(line="PUT /genre HTTP/1.1")],
    "another path": [request(line="POST /genres HTTP/1.1")],
    "a batch": [request(line="POST /genre/batch HTTP/1.1")],
    "absolute": [request(line="POST http://here/genre HTTP/1.1")],
    "escaped": [request(line="POST /%67enre HTTP/1.1")],
    "unknown option": [request(line="POST /genre?top=1 HTTP/1.1")],
    "bad option": [request(line="POST /origin?top=none HTTP/1.1")],
    "fragment": [request(line="POST /origin?top=2#3 HTTP/1.1")],
    "last of a connection": [request(PIECE, "Connection: close")],
    "HTTP/1.0": [request(line="POST /genre HTTP/1.0")],
    "no type": [request(kind=None)],
    "another type": [request(kind="text/csv")],
    "header twice": [request(PIECE, "Content-Type: application/json", kind="text/csv")],
    "gzip": [request(gzip.compress(PIECE, mtime=0), "Content-Encoding: gzip")],
    "origin": [request(PIECE, "Origin: https://example.org")],
    "upgrade": [request(PIECE, "Connection: upgrade", "Upgrade: h2c")],
    "upgrade alone": [request(PIECE, "Upgrade: h2c")],
    "chunked": [
        b"POST /genre HTTP/1.1\r\nHost: here\r\nX-Request-ID: mine\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PIECE), PIECE)
    ],
    "long head": [request(PIECE, "Cookie: " + "x" * MAX_USUAL_HEAD_BYTES)],
    "empty": [request(b"")],
    "long body": [request(PIECE + b" " * MAX_PIECE_BYTES)],
    "broken": [request(PIECE[:-1])],
    "more": [request(PIECE + b"{}")],
    "byte order mark": [request(b"\xef\xbb\xbf" + PIECE)],
    "not UTF-8": [request(PIECE.replace(b"features", b"f\xe9atures"))],
    "no object": [request(b"[]")],
    "two names": [request(PIECE[:-1] + b', "more": 1}')],
    "a name twice": [request(PIECE[:-1] + b", " + PIECE[1:])],
    "no number": [request(b'{"features": []}')],
    "67 numbers": [request(json.dumps({"features": EXAMPLE_FEATURES[1:]}).encode())],
    "nested": [request(PIECE.replace(b"[", b"[[").replace(b"]", b"]]"))],
    "late body": [request(b"", length=len(PIECE)), LATE, PIECE],
    **{
        value: [request(piece_with(value))] for value in ("true", "null", '"1"', "NaN", "1e400", "1e18", "1000.1", "{}")
    },
    **{value: [request(piece_with(value))] for value in ("-1000.1", "[1]", "01", "+1", ".5", str(2**65))},
}


def count_of(sent: Sequence[bytes | float]) -> int:
    return sum(each.count(b" HTTP/1.") for each in sent if isinstance(each, bytes))


@pytest.mark.parametrize("name", AT_THE_DOOR)
def test_right_requests_are_answered_at_the_door(servers: list[httpx.Client], name: str) -> None:
    sent = AT_THE_DOOR[name]
    with_door, without_door, only_door = (replies(server, sent, count_of(sent)) for server in servers)
    assert with_door == without_door == only_door
    assert {status for status, _, _ in with_door} == {200}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_all_else_is_passed_on(servers: list[httpx.Client], name: str) -> None:
    sent = ELSEWHERE[name]
    with_door, without_door, only_door = (replies(server, sent, count_of(sent)) for server in servers)
    assert with_door == without_door
    assert {status for status, _, _ in only_door} == {PASSED_ON}


@pytest.mark.parametrize(
    ("environment", "headers", "at_the_door"),
    [
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, [], False),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["X-API-Key: another"], False),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["X-API-Key: the-key"], True),
        ({"MUSIC_ORIGIN_API_KEY": "the-key"}, ["Authorization: Bearer the-key"], True),
        ({"MUSIC_ORIGIN_TELEMETRY": "true"}, [], False),
        ({"MUSIC_ORIGIN_MAX_BODY_BYTES": str(len(PIECE))}, [], True),
        ({"MUSIC_ORIGIN_MAX_BODY_BYTES": str(len(PIECE) - 1)}, [], False),
    ],
)
def test_settings_hold_at_the_door(
    run_server: RunServer, tmp_path: Path, environment: dict[str, str], headers: list[str], at_the_door: bool
) -> None:
    with run_server(**module(tmp_path, NO_APPLICATION), **environment) as server:
        ((status, _, _),) = replies(server.client, [request(PIECE, *headers)], 1)
    assert status == (200 if at_the_door else PASSED_ON)


def test_no_more_are_answered_than_uvicorn_is_told_to(run_server: RunServer) -> None:
    with run_server("--limit-concurrency", "1") as server:
        ((status, _, _),) = replies(server.client, [request()], 1)
    assert status == 503


def test_pydantic_takes_whatever_the_door_takes() -> None:
    """What the door does not take is no matter, since pydantic is asked then."""
    taken = 0
    for body in damaged(PIECE, 20_000):
        try:
            piece = read_piece(body)
        except Exception:  # in which ways it fails is its own affair
            continue
        taken += 1
        assert validate_piece(body).features == piece.tolist()
    assert taken > 1000
