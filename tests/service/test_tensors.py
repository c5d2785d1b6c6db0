import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import StartServer

GENRE = "/v2/models/genre/infer"
NORTH = "/v2/models/north-of-20/infer"
LENGTH = "Inference-Header-Content-Length"
ROWS = np.random.default_rng(12).normal(0, 1.5, size=(3, 68))
NONE: Any = object()  # a change that takes the name away


def asked(**changes: Any) -> dict[str, Any]:
    """A request for three rows, but for the changes: of its tensor, or, by names in capitals, of the request itself."""
    tensor = {"name": "features", "shape": [3, 68], "datatype": "FP64", "data": ROWS.ravel().tolist()}
    tensor |= {name: value for name, value in changes.items() if name.islower()}
    request = {"inputs": [{name: value for name, value in tensor.items() if value is not NONE}]}
    request |= {name.lower(): value for name, value in changes.items() if not name.islower()}
    return {name: value for name, value in request.items() if value is not NONE}


def post(client: httpx.Client, request: object, path: str = GENRE) -> httpx.Response:
    return client.post(path, content=json.dumps(request).encode())


def post_binary(
    client: httpx.Client, request: object, binary: bytes, length: str | None = None, path: str = GENRE
) -> httpx.Response:
    head = json.dumps(request).encode()
    return client.post(path, content=head + binary, headers={LENGTH: length or str(len(head))})


def unpacked(**changes: Any) -> dict[str, Any]:
    """A request for three rows that follow as FP64, but for the changes."""
    return asked(**({"data": NONE, "parameters": {"binary_data_size": ROWS.nbytes}} | changes))


def outputs(reply: httpx.Response) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in reply.raise_for_status().json()["outputs"]}


def error(reply: httpx.Response, status: int = 400) -> str:
    """The sentence that says what is wrong; nothing of what was sent, and no word of pydantic's, is in it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json(parse_constant=pytest.fail)
    assert list(body) == ["error"]
    message: str = body["error"]
    assert message.endswith(".")
    assert message[0].isupper() or message[0] == "/"
    for word in ("secret", "InputTensor", "Input should", "Value error", "pydantic"):
        assert word not in message
    assert len(message) < 250
    return message


def test_data_may_be_flat_or_nested(client: httpx.Client) -> None:
    for path in (GENRE, NORTH):
        flat = outputs(post(client, asked(), path))
        assert outputs(post(client, asked(data=ROWS.tolist()), path)) == flat
        assert outputs(post_binary(client, unpacked(), ROWS.tobytes(), path=path)) == flat
        assert outputs(post(client, asked(data=ROWS[::-1].tolist()), path)) != flat


def test_whole_numbers_and_the_bound_are_taken(client: httpx.Client) -> None:
    for datatype in ("FP32", "FP64"):
        for value in (0, 1000, -1000, 1000.0, 1e-300):
            data = [[value] * 68] * 3
            assert np.isfinite(outputs(post(client, asked(data=data, datatype=datatype)))["distance"]).all()


def test_fp32_is_rounded_to_float32(client: httpx.Client) -> None:
    single = outputs(post(client, asked(datatype="FP32")))
    assert single != outputs(post(client, asked()))
    assert single == outputs(post(client, asked(data=ROWS.astype(np.float32).ravel().tolist())))


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/octet-stream", "application/vnd.x", "text/plain"]
)
def test_content_type_does_not_matter(client: httpx.Client, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    reply = client.post(GENRE, content=json.dumps(asked()).encode(), headers=headers)
    assert outputs(reply) == outputs(post(client, asked()))


def test_binary_reply_has_its_head_and_then_its_tensors(client: httpx.Client) -> None:
    listed = outputs(post(client, asked()))
    reply = post(client, asked(PARAMETERS={"binary_data_output": True})).raise_for_status()
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers[LENGTH])
    head = json.loads(reply.content[:length])
    assert [output["parameters"] for output in head["outputs"]] == [{"binary_data_size": 24}] * 2
    assert np.frombuffer(reply.content[length:][:24], "<i8").tolist() == listed["genre"]
    assert np.frombuffer(reply.content[length:][24:], "<f8").tolist() == listed["distance"]


def test_truth_is_one_byte(client: httpx.Client) -> None:
    wanted = [{"name": "north_of_20", "parameters": {"binary_data": True}}]
    reply = post(client, asked(OUTPUTS=wanted), NORTH).raise_for_status()
    length = int(reply.headers[LENGTH])
    assert json.loads(reply.content[:length])["outputs"] == [
        {"name": "north_of_20", "datatype": "BOOL", "shape": [3], "parameters": {"binary_data_size": 3}}
    ]
    assert [*reply.content[length:]] == outputs(post(client, asked(), NORTH))["north_of_20"]


def test_output_overrules_the_request(client: httpx.Client) -> None:
    for default in (True, False):
        wanted = [{"name": "genre", "parameters": {"binary_data": not default}}, {"name": "distance"}]
        reply = post(client, asked(OUTPUTS=wanted, PARAMETERS={"binary_data_output": default})).raise_for_status()
        genre, distance = json.loads(reply.content[: int(reply.headers[LENGTH])])["outputs"]
        assert ("data" in genre, "data" in distance) == (default, not default)


@pytest.mark.parametrize("id_", ["", "7", "é\u0000\u2028\U0001f3b5", '"}', "x" * 10_000])
def test_id_is_echoed_as_it_is(client: httpx.Client, id_: str) -> None:
    assert post(client, asked(ID=id_)).raise_for_status().json()["id"] == id_


def test_null_is_as_if_nothing_were_sent(client: httpx.Client) -> None:
    expected = post(client, asked()).raise_for_status().json()
    request = asked(ID=None, PARAMETERS=None, OUTPUTS=None, parameters=None)
    assert post(client, request).raise_for_status().json() == expected
    request = asked(OUTPUTS=[{"name": name, "parameters": None} for name in ("genre", "distance")])
    assert post(client, request).raise_for_status().json() == expected
    request = unpacked(data=None)
    assert post_binary(client, request, ROWS.tobytes()).raise_for_status().json() == expected


def test_what_is_not_known_is_left_aside(client: httpx.Client) -> None:
    other = {"priority": 1, "x": [{"y": None}]}
    request = asked(PARAMETERS=other, parameters=other, OUTPUTS=[{"name": "genre", "parameters": other, "x": 1}], X=1)
    assert outputs(post(client, request)) == {"genre": outputs(post(client, asked()))["genre"]}


def test_empty_list_of_outputs_means_all(client: httpx.Client) -> None:
    assert outputs(post(client, asked(OUTPUTS=[]))) == outputs(post(client, asked()))


def test_last_of_two_equal_names_counts(client: httpx.Client) -> None:
    content = json.dumps(asked()).replace('"inputs"', '"inputs": ["secret"], "inputs"')
    assert outputs(client.post(GENRE, content=content)) == outputs(post(client, asked()))


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
