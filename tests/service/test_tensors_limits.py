import gzip
import zlib
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from tests.conftest import StartServer
from tests.service.tensor_requests import GENRE, NORTH, ROWS, asked, error, outputs, post, post_binary, unpacked


@pytest.mark.parametrize("rows", [10_001, 2**31, 2**31 + 1, 2**63, 10**40])
def test_shape_with_too_many_rows_is_said(client: httpx.Client, rows: int) -> None:
    message = "A batch must have at most 10000 rows of 68 numbers: send it in parts."
    assert error(post(client, asked(shape=[rows, 68])), 413) == message
    assert error(post_binary(client, unpacked(shape=[rows, 68]), ROWS.tobytes()), 413) == message


def test_most_rows_are_a_setting(start_server: StartServer) -> None:
    more = np.concatenate([ROWS, ROWS[:1]])
    many = np.tile(ROWS, (20, 1))
    with start_server(MUSIC_ORIGIN_MAX_BATCH="3") as client:
        post(client, asked()).raise_for_status()
        post(client, asked(data=ROWS.tolist())).raise_for_status()
        post_binary(client, unpacked(), ROWS.tobytes()).raise_for_status()
        for path in (GENRE, NORTH):
            for rows in (more, many):
                shape = [*rows.shape]
                parameters = {"binary_data_size": rows.nbytes}
                replies = [
                    post(client, asked(shape=shape, data=rows.tolist()), path),
                    post(client, asked(shape=shape, data=rows.ravel().tolist()), path),
                    post_binary(client, unpacked(shape=shape, parameters=parameters), rows.tobytes(), path=path),
                ]
                for reply in replies:
                    assert "at most 3 rows of 68 numbers" in error(reply, 413)


def test_as_many_rows_as_are_taken_are_answered(client: httpx.Client) -> None:
    rows = np.zeros((10_000, 68))
    request = asked(shape=[10_000, 68], data=rows.tolist(), ID="," * 900, OUTPUTS=[{"name": "genre"}] * 50)
    assert len(outputs(post(client, request))["genre"]) == 10_000


def test_body_that_is_too_large_is_said(client: httpx.Client) -> None:
    def in_chunks() -> Iterator[bytes]:
        yield from [b" " * 2**16] * 257

    for content in (b" " * (2**24 + 1), in_chunks()):
        message = error(client.post(GENRE, content=content), 413)
        assert message == "The body must have at most 16777216 bytes."


def test_body_that_grows_too_large_is_said(client: httpx.Client) -> None:
    bomb = b" " * 2**28
    for encoding, content in (("gzip", gzip.compress(bomb, 1)), ("deflate", zlib.compress(bomb, 1))):
        assert len(content) < 2**22
        reply = client.post(GENRE, content=content, headers={"Content-Encoding": encoding})
        assert "at most 16777216 bytes" in error(reply, 413)


BODIES = [
    '{"inputs": [%s]}',
    '{"inputs": [{"name": "features", "shape": [1, 68], "datatype": "FP32", "data": [%s]}]}',
    '{"inputs": [{"name": "features", "shape": [1, 68], "datatype": "FP32"}], "outputs": [%s]}',
    '{"inputs": [{"name": "features", "shape": [%s], "datatype": "FP32"}]}',
    '{"inputs": [{"name": "features", "shape": [1, 68], "datatype": "FP32"}], "parameters": {"x": [%s]}}',
]


def largest(body: str, unit: str) -> str:
    """The body with as many units as are just taken, by bytes and by commas."""
    return body % ",".join([unit] * min(2**24 // (len(unit) + 1) - 100, 680_000))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("unit", ["[" * 11 + "]" * 11, '{"":{"":{"":{}}}}', "{}", "[]"])
def test_nothing_is_built_of_a_body_with_too_many_parts(client: httpx.Client, body: str, unit: str) -> None:
    message = error(client.post(GENRE, content=largest(body, unit)))
    assert message == "The body must be an inference request: it has more arrays and objects than any has."


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("unit", ["1", '"secret"', "null", '"' + "x" * 20 + '"'])
def test_largest_wrong_body_is_answered(client: httpx.Client, body: str, unit: str) -> None:
    """Although every one of its 680,000 values is wrong."""
    error(client.post(GENRE, content=largest(body, unit)))


@pytest.mark.parametrize("unit", ["1", "[]", '"secret"'])
def test_nothing_is_built_of_a_body_with_too_many_values(client: httpx.Client, unit: str) -> None:
    content = BODIES[1] % ",".join([unit] * 690_000)
    assert "at most 10000 rows" in error(client.post(GENRE, content=content), 413)
