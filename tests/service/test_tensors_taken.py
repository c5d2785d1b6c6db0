import json
from typing import Any

import httpx
import numpy as np
import pytest

from service import tensors
from tests.conftest import damaged
from tests.service.tensor_requests import GENRE, LENGTH, NORTH, ROWS, asked, outputs, post, post_binary, unpacked


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


@pytest.mark.parametrize(
    ("name", "twice"),
    [
        ('"inputs"', '"inputs": ["secret"], "inputs"'),
        ('"id"', '"id": "first", "id"'),
        ('"datatype"', '"datatype": "FP32", "datatype"'),
        ('"data"', f'"data": {ROWS[::-1].tolist()}, "data"'),
    ],
)
def test_last_of_two_equal_names_counts(client: httpx.Client, name: str, twice: str) -> None:
    content = json.dumps(asked(ID="last")).replace(name, twice)
    assert '"id":"last"' in client.post(GENRE, content=content).text
    assert outputs(client.post(GENRE, content=content)) == outputs(post(client, asked()))


@pytest.mark.parametrize("data", [ROWS.ravel().tolist(), ROWS.tolist()])
def test_pydantic_takes_every_head_that_the_quick_way_takes(data: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    sent = asked(data=data, ID="mine", PARAMETERS={"network": "hidden"}, OUTPUTS=[{"name": "genre"}])
    for body in damaged(json.dumps(sent).encode(), 5000):
        with monkeypatch.context() as patch:
            patch.setattr(tensors, "_validate_head", lambda _: None)
            quick = tensors._read_head(body, 1000)
        if quick is None:
            continue
        taken += 1
        assert isinstance(quick.inputs[0].data, np.ndarray)
        slow = tensors._validate_head(body)
        numbers = np.array(slow.inputs[0].data, object).ravel().tolist()
        assert {*map(type, numbers)} <= {int, float}
        assert quick.inputs[0].data.tolist() == [*map(float, numbers)]
        quick.inputs[0].data = slow.inputs[0].data
        assert quick == slow
    assert taken > 100
