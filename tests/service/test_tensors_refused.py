import gzip
import json

import httpx
import numpy as np
import pytest

from tests.service.tensor_requests import GENRE, LENGTH, NONE, NORTH, ROWS, asked, error, post, post_binary, unpacked


@pytest.mark.parametrize(
    "content",
    [b"{", b"secret", b'{"inputs": [1,', b"\xff\xfe", b"[" * 500, b"{}x", b" ", b'{"id": "\\ud800"}', b"9" * 5000],
)
def test_broken_json_is_said(client: httpx.Client, content: bytes) -> None:
    assert error(client.post(GENRE, content=content)).startswith("The body must be JSON: ")
    for length in ("0", str(len(content))):
        reply = client.post(GENRE, content=content, headers={LENGTH: length})
        assert error(reply).startswith("The body must be JSON: ")


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_empty_body_is_said(client: httpx.Client, encoding: str) -> None:
    reply = client.post(GENRE, headers={"Content-Encoding": encoding})
    assert error(reply, 422) == "The body is missing."


INPUT = asked()["inputs"][0]
INPUTS = "/inputs must be an array of one tensor, features."
SHAPE = "/inputs/0/shape must be [rows, 68], two whole numbers, with one row at the least."
OUTPUTS = "/outputs must be an array of objects, each with the name of an output."
DATA = "The input must have data, an array of numbers, or binary_data_size."
NESTED = "Nested data must be rows of 68 numbers."
WRONG_REQUESTS: list[tuple[object, str]] = [
    ([], "The body must be an object."),
    (None, "The body must be an object."),
    ("secret", "The body must be an object."),
    ({}, INPUTS),
    (asked(INPUTS=NONE), INPUTS),
    (asked(INPUTS=None), INPUTS),
    (asked(INPUTS=[]), INPUTS),
    (asked(INPUTS=[INPUT, INPUT]), INPUTS),
    (asked(INPUTS=[INPUT, {"name": "secret"}]), INPUTS),
    (asked(INPUTS=INPUT), INPUTS),
    (asked(INPUTS=["secret"]), INPUTS),
    (asked(name="secret"), "/inputs/0/name must be 'features'."),
    (asked(name=NONE), "/inputs/0/name must be 'features'."),
    (asked(name=7), "/inputs/0/name must be 'features'."),
    (asked(datatype="FP16"), "/inputs/0/datatype must be 'FP32' or 'FP64'."),
    (asked(datatype="secret"), "/inputs/0/datatype must be 'FP32' or 'FP64'."),
    (asked(datatype=NONE), "/inputs/0/datatype must be 'FP32' or 'FP64'."),
    (asked(shape=[0, 68]), SHAPE),
    (asked(shape=[-1, 68]), SHAPE),
    (asked(shape=["3", 68]), SHAPE),
    (asked(shape=[3.0, 68]), SHAPE),
    (asked(shape=[True, 68]), SHAPE),
    (asked(shape=[None, 68]), SHAPE),
    (asked(shape=[[3], 68]), SHAPE),
    (asked(shape=[]), SHAPE),
    (asked(shape=[3, 67]), SHAPE),
    (asked(shape=[68, 3]), SHAPE),
    (asked(shape=[204]), SHAPE),
    (asked(shape=[1, 3, 68]), SHAPE),
    (asked(shape="secret"), SHAPE),
    (asked(shape=NONE), SHAPE),
    (asked(parameters=[]), "/inputs/0/parameters must be an object."),
    (asked(parameters="secret"), "/inputs/0/parameters must be an object."),
    (asked(PARAMETERS=["secret"]), "/parameters must be an object."),
    (asked(ID=7), "/id must be text."),
    (asked(ID=["secret"]), "/id must be text."),
    (asked(OUTPUTS="secret"), OUTPUTS),
    (asked(OUTPUTS={"secret": 1}), OUTPUTS),
    (asked(OUTPUTS=["genre"]), OUTPUTS),
    (asked(OUTPUTS=[{}]), "/outputs/0/name must be the name of an output."),
    (asked(OUTPUTS=[{"name": "genre"}, {"name": 1}]), "/outputs/1/name must be the name of an output."),
    (asked(OUTPUTS=[{"name": "genre", "parameters": 1}]), "/outputs/0/parameters must be an object."),
    (asked(OUTPUTS=[{"name": "secret"}]), "There is no such output: genre has genre and distance."),
    (asked(OUTPUTS=[{"name": "probability"}]), "There is no such output: genre has genre and distance."),
    (
        asked(OUTPUTS=[{"name": "genre", "parameters": {"classification": 2}}]),
        "The extension for classification is not there: ask without class_count.",
    ),
    (
        asked(OUTPUTS=[{"name": "genre", "parameters": {"shared_memory_region": "secret"}}]),
        "The extensions for shared memory are not there: ask for the output in the reply.",
    ),
    (
        asked(OUTPUTS=[{"name": "genre", "parameters": {"binary_data": "secret"}}]),
        "The parameter binary_data must be true or false.",
    ),
    (asked(PARAMETERS={"binary_data_output": 1}), "The parameter binary_data_output must be true or false."),
    (asked(PARAMETERS={"network": "secret"}), "/parameters/network must be 'simple' or 'hidden' or 'places'."),
    (asked(PARAMETERS={"network": None}), "/parameters/network must be 'simple' or 'hidden' or 'places'."),
    (asked(PARAMETERS={"calibrated": "secret"}), "/parameters/calibrated must be true or false."),
    (asked(PARAMETERS={"calibrated": None}), "/parameters/calibrated must be true or false."),
    (asked(data=NONE), DATA),
    (asked(data=None), DATA),
    (asked(data="secret"), DATA),
    (asked(data={"secret": 1}), DATA),
    (asked(data=[]), "The input's data must be as many numbers as its shape says, 204, and not 0."),
    (asked(data=[1] * 203), "The input's data must be as many numbers as its shape says, 204, and not 203."),
    (asked(data=[1] * 205), "The input's data must be as many numbers as its shape says, 204, and not 205."),
    (asked(data=[[1] * 68] * 2), "The input's data must be as many numbers as its shape says, 204, and not 136."),
    (asked(shape=[2, 68]), "The input's data must be as many numbers as its shape says, 136, and not 204."),
    (asked(data=[[1] * 68, [1] * 67, [1] * 69]), NESTED),
    (asked(data=[[1] * 102] * 2), NESTED),
    (asked(data=[[1] * 68, [1] * 68, 1]), NESTED),
    (asked(data=[[]]), NESTED),
    (asked(data=[[[[1] * 68] * 3]]), NESTED),
    (asked(data=[1] * 203 + [[1]]), "Row 3: feature 68 must be a number."),
]


@pytest.mark.parametrize(("request_", "message"), WRONG_REQUESTS)
def test_wrong_request_is_named(client: httpx.Client, request_: object, message: str) -> None:
    assert error(post(client, request_)) == message


BOUND = "must be a finite number between -1000 and 1000"
WRONG_VALUES = [
    ('"secret"', "must be a number"),
    ('"1.5"', "must be a number"),
    ("true", "must be a number"),
    ("null", "must be a number"),
    ("[1]", "must be a number"),
    ("{}", "must be a number"),
    ("NaN", BOUND),
    ("Infinity", BOUND),
    ("-Infinity", BOUND),
    ("1e400", BOUND),
    ("-1e300", BOUND),
    ("1000.001", BOUND),
    ("-1001", BOUND),
    ("9" * 30, BOUND),
]


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize(("text", "message"), WRONG_VALUES)
def test_wrong_value_is_named(client: httpx.Client, datatype: str, text: str, message: str) -> None:
    rows: list[list[object]] = ROWS.tolist()
    rows[1][3] = "HERE"
    for data in (rows, [value for row in rows for value in row]):
        content = json.dumps(asked(data=data, datatype=datatype)).replace('"HERE"', text)
        for path in (GENRE, NORTH):
            assert error(client.post(path, content=content)) == f"Row 2: feature 4 {message}."


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_whole_number_beyond_every_float_is_said(client: httpx.Client, datatype: str) -> None:
    content = json.dumps(asked(data=[[10**400] * 68] * 3, datatype=datatype))
    assert error(client.post(GENRE, content=content)) == "The input's data must be numbers between -1000 and 1000."


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1000.001, -1e30])
@pytest.mark.parametrize(("datatype", "kind"), [("FP32", "<f4"), ("FP64", "<f8")])
def test_wrong_binary_value_is_named(client: httpx.Client, datatype: str, kind: str, value: float) -> None:
    rows = ROWS.astype(kind)
    rows[2, 0] = value
    request = unpacked(datatype=datatype, parameters={"binary_data_size": rows.nbytes})
    assert error(post_binary(client, request, rows.tobytes())) == f"Row 3: feature 1 {BOUND}."


@pytest.mark.parametrize("length", ["secret", "-1", "1.5", "", "0x10", "1" * 5000, "99999", "²", "+5"])
def test_wrong_length_of_the_head_is_said(client: httpx.Client, length: str) -> None:
    reply = client.post(GENRE, content=b"{}", headers=[(LENGTH.encode(), length.encode("latin-1"))])
    message = f"{LENGTH} must be the number of bytes of the JSON head, and the body has 2."
    assert error(reply) == message


def test_length_beside_the_end_of_the_head_is_said(client: httpx.Client) -> None:
    length = len(json.dumps(unpacked()))
    for wrong in (1, length - 1, length + 1, length + ROWS.nbytes):
        assert error(post_binary(client, unpacked(), ROWS.tobytes(), str(wrong))).startswith("The body must be JSON: ")


@pytest.mark.parametrize("size", [0, -1, 1631, 1633, 816, 1632.5, "1632", True, [1632], 10**30])
def test_wrong_binary_data_size_is_said(client: httpx.Client, size: object) -> None:
    request = unpacked(parameters={"binary_data_size": size})
    assert "has 1632 bytes" in error(post_binary(client, request, ROWS.tobytes()))


def test_tensor_of_another_length_is_said(client: httpx.Client) -> None:
    for binary in (b"", ROWS.tobytes()[:-1], ROWS.tobytes() + b"\0", ROWS.astype(np.float32).tobytes()):
        assert "has 1632 bytes" in error(post_binary(client, unpacked(), binary))
    assert "has 816 bytes" in error(post_binary(client, unpacked(datatype="FP32"), ROWS.tobytes()))
    assert "has 1088 bytes" in error(post_binary(client, unpacked(shape=[2, 68]), ROWS.tobytes()))


def test_binary_tensor_without_the_length_of_the_head_is_said(client: httpx.Client) -> None:
    assert LENGTH in error(post(client, unpacked()))
    content = json.dumps(unpacked()).encode() + ROWS.tobytes()
    assert error(client.post(GENRE, content=content)).startswith("The body must be JSON: ")


def test_bytes_that_nothing_asks_for_are_said(client: httpx.Client) -> None:
    for request in (asked(), asked(data=NONE)):
        assert error(post_binary(client, request, b"abc")).startswith("The 3 bytes after the JSON head are of no input")


def test_both_data_and_binary_are_said(client: httpx.Client) -> None:
    request = asked(parameters={"binary_data_size": ROWS.nbytes})
    for reply in (post_binary(client, request, ROWS.tobytes()), post(client, request)):
        assert error(reply) == "The input has both data and binary_data_size: send one of the two."


def test_broken_compression_is_said(client: httpx.Client) -> None:
    whole = gzip.compress(json.dumps(asked()).encode())
    for encoding in ("gzip", "deflate"):
        for content in (b"secret", whole[:-9], whole[:-1], whole + b"secret", whole[:40] + b"secret" + whole[46:]):
            reply = client.post(GENRE, content=content, headers={"Content-Encoding": encoding})
            assert error(reply) == f"The body is not whole {encoding} data, as its header Content-Encoding has it."


@pytest.mark.parametrize("encoding", ["br", "zstd", "secret", "gzip, gzip"])
def test_other_compression_is_said(client: httpx.Client, encoding: str) -> None:
    reply = client.post(GENRE, content=json.dumps(asked()).encode(), headers={"Content-Encoding": encoding})
    assert "gzip or deflate" in error(reply, 415)
