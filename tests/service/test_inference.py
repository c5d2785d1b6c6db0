import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http.aio
from tritonclient.http import InferenceServerClient, InferRequestedOutput, InferResult

from models.bundle import ModelBundle
from models.features import Floats
from service.schemas import EXAMPLE_FEATURES
from tests.service.triton_requests import DATATYPES, OUTPUTS, ROWS, address, tensor


def assert_same_reply(result: InferResult, expected: InferResult, model: str) -> None:
    for name in OUTPUTS[model]:
        np.testing.assert_array_equal(result.as_numpy(name), expected.as_numpy(name), strict=True)


def batch(client: httpx.Client, path: str, rows: Floats) -> dict[str, Any]:
    reply: dict[str, Any] = client.post(path, json={"features": rows.tolist()}).raise_for_status().json()
    return reply


def assert_genres(result: InferResult, expected: dict[str, Any]) -> None:
    np.testing.assert_array_equal(result.as_numpy("genre"), np.array(expected["genre"], np.int64), strict=True)
    np.testing.assert_array_equal(result.as_numpy("distance"), np.array(expected["distance"]), strict=True)


def assert_sides(result: InferResult, expected: dict[str, Any]) -> None:
    north = np.array(expected["probability"])
    np.testing.assert_array_equal(result.as_numpy("north_of_20"), np.array(expected["north_of_20"]), strict=True)
    np.testing.assert_array_equal(
        result.as_numpy("probability"), np.stack([1 - north, north], axis=1).reshape(-1, 2), strict=True
    )


def test_replies_are_binary_by_default(triton: InferenceServerClient, bundle: ModelBundle) -> None:
    for model, names in OUTPUTS.items():
        result = triton.infer(model, [tensor(ROWS, "FP32")])
        reply = result.get_response()
        assert (reply["model_name"], reply["model_version"]) == (model, bundle.version)
        assert "id" not in reply
        assert [output["name"] for output in reply["outputs"]] == names
        assert all("data" not in output for output in reply["outputs"])
        sizes = [output["parameters"]["binary_data_size"] for output in reply["outputs"]]
        assert sizes == [result.as_numpy(name).nbytes for name in names]
        described = {output["name"]: output for output in triton.get_model_metadata(model)["outputs"]}
        for output in reply["outputs"]:
            assert output["datatype"] == described[output["name"]]["datatype"]
            assert output["shape"] == [len(ROWS), *described[output["name"]]["shape"][1:]]


@pytest.mark.parametrize("datatype", DATATYPES)
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_form_of_the_tensors_changes_no_bit(
    triton: InferenceServerClient, datatype: str, binary_in: bool, binary_out: bool
) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS, datatype)])
        wanted = [InferRequestedOutput(name, binary_data=binary_out) for name in names]
        result = triton.infer(model, [tensor(ROWS, datatype, binary=binary_in)], outputs=wanted)
        assert_same_reply(result, expected, model)
        assert all(("data" in result.get_output(name)) != binary_out for name in names)


def test_one_output_may_be_binary_and_the_other_not(triton: InferenceServerClient) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS)])
        for binary in (0, 1):
            wanted = [InferRequestedOutput(name, binary_data=names.index(name) == binary) for name in names]
            result = triton.infer(model, [tensor(ROWS)], outputs=wanted)
            assert_same_reply(result, expected, model)
            assert ["data" in result.get_output(name) for name in names] == [binary == 1, binary == 0]


@pytest.mark.parametrize("count", [1, 2, 200])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_rows_are_answered_as_by_batches(
    triton: InferenceServerClient, client: httpx.Client, datatype: str, count: int
) -> None:
    rows = ROWS[:count].astype(DATATYPES[datatype])
    assert_genres(triton.infer("genre", [tensor(rows, datatype)]), batch(client, "/genre/batch", rows))
    assert_sides(triton.infer("north-of-20", [tensor(rows, datatype)]), batch(client, "/north-of-20/batch", rows))


@pytest.mark.parametrize("datatype", DATATYPES)
def test_one_row_is_answered_as_a_piece(triton: InferenceServerClient, client: httpx.Client, datatype: str) -> None:
    for row in ROWS[:20].astype(DATATYPES[datatype]):
        piece = tensor(row[None], datatype)
        genre = client.post("/genre", json={"features": row.tolist()}).raise_for_status().json()
        assert_genres(triton.infer("genre", [piece]), {name: [genre[name]] for name in ("genre", "distance")})
        side = client.post("/north-of-20", json={"features": row.tolist()}).raise_for_status().json()
        names = ("north_of_20", "probability")
        assert_sides(triton.infer("north-of-20", [piece]), {name: [side[name]] for name in names})


@pytest.mark.parametrize("network", ["simple", "hidden", "places"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_network_and_calibration_are_parameters(
    triton: InferenceServerClient, client: httpx.Client, network: str, calibrated: bool
) -> None:
    query = f"network={network}&calibrated={str(calibrated).lower()}"
    parameters = {"network": network, "calibrated": calibrated}
    result = triton.infer("north-of-20", [tensor(ROWS)], parameters=parameters)
    assert_sides(result, batch(client, f"/north-of-20/batch?{query}", ROWS))
    one = triton.infer("north-of-20", [tensor(ROWS[:1])], parameters=parameters)
    piece = client.post(f"/north-of-20?{query}", json={"features": ROWS[0].tolist()}).raise_for_status().json()
    assert_sides(one, {name: [piece[name]] for name in ("north_of_20", "probability")})
    others = [{"network": other} for other in ("simple", "hidden", "places") if other != network]
    for other in (*others, {"network": network, "calibrated": not calibrated}):
        different = triton.infer("north-of-20", [tensor(ROWS)], parameters=other)
        assert (different.as_numpy("probability") != result.as_numpy("probability")).any()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_body_may_be_compressed(triton: InferenceServerClient, algorithm: str) -> None:
    for model in OUTPUTS:
        for binary in (True, False):
            result = triton.infer(
                model,
                [tensor(ROWS, binary=binary)],
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
            assert_same_reply(result, triton.infer(model, [tensor(ROWS)]), model)


def test_id_is_echoed(triton: InferenceServerClient) -> None:
    for outputs in (None, [InferRequestedOutput("genre", binary_data=False)]):
        result = triton.infer("genre", [tensor(ROWS)], request_id="piece 7, é", outputs=outputs)
        assert result.get_response()["id"] == "piece 7, é"


def test_outputs_are_those_asked_for_in_their_order(triton: InferenceServerClient) -> None:
    for model, names in OUTPUTS.items():
        expected = triton.infer(model, [tensor(ROWS)])
        for wanted in ([names[0]], [names[1]], names, names[::-1]):
            for binary in (True, False):
                outputs = [InferRequestedOutput(name, binary_data=binary) for name in wanted]
                result = triton.infer(model, [tensor(ROWS)], outputs=outputs)
                assert [output["name"] for output in result.get_response()["outputs"]] == wanted
                for name in wanted:
                    np.testing.assert_array_equal(result.as_numpy(name), expected.as_numpy(name), strict=True)


def test_version_may_be_named(triton: InferenceServerClient, bundle: ModelBundle) -> None:
    for model in OUTPUTS:
        result = triton.infer(model, [tensor(ROWS)], model_version=bundle.version)
        assert result.get_response()["model_version"] == bundle.version
        assert_same_reply(result, triton.infer(model, [tensor(ROWS)]), model)


def test_pool_of_greenlets_is_answered(client: httpx.Client) -> None:
    with InferenceServerClient(address(client), concurrency=4) as triton:
        asked = [triton.async_infer("genre", [tensor(ROWS[:count])]) for count in range(1, 9)]
        for count, each in enumerate(asked, 1):
            assert_genres(each.get_result(), batch(client, "/genre/batch", ROWS[:count]))


def test_asynchronous_triton_client_is_answered(client: httpx.Client) -> None:
    async def ask() -> dict[str, InferResult]:
        async with tritonclient.http.aio.InferenceServerClient(address(client)) as triton:
            assert await triton.is_server_ready()
            return {model: await triton.infer(model, [tensor(ROWS)], request_id="7") for model in OUTPUTS}

    results = asyncio.run(ask())
    assert {result.get_response()["id"] for result in results.values()} == {"7"}
    assert_genres(results["genre"], batch(client, "/genre/batch", ROWS))
    assert_sides(results["north-of-20"], batch(client, "/north-of-20/batch", ROWS))


def test_json_alone_is_enough(client: httpx.Client, bundle: ModelBundle) -> None:
    features = {"name": "features", "shape": [1, 68], "datatype": "FP64", "data": EXAMPLE_FEATURES}
    genre = client.post("/genre", json={"features": EXAMPLE_FEATURES}).json()
    reply = client.post("/v2/models/genre/infer", json={"inputs": [features]}).raise_for_status()
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == {
        "model_name": "genre",
        "model_version": bundle.version,
        "outputs": [
            {"name": "genre", "datatype": "INT64", "shape": [1], "data": [genre["genre"]]},
            {"name": "distance", "datatype": "FP64", "shape": [1], "data": [genre["distance"]]},
        ],
    }
    side = client.post("/north-of-20", json={"features": EXAMPLE_FEATURES}).json()
    path = f"/v2/models/north-of-20/versions/{bundle.version}/infer"
    reply = client.post(path, json={"id": "a", "inputs": [features]}).raise_for_status()
    assert reply.json() == {
        "model_name": "north-of-20",
        "model_version": bundle.version,
        "id": "a",
        "outputs": [
            {"name": "north_of_20", "datatype": "BOOL", "shape": [1], "data": [side["north_of_20"]]},
            {
                "name": "probability",
                "datatype": "FP64",
                "shape": [1, 2],
                "data": [1 - side["probability"], side["probability"]],
            },
        ],
    }


@pytest.mark.parametrize("count", [1, 3])
def test_probabilities_are_listed_row_by_row(client: httpx.Client, count: int) -> None:
    rows = ROWS[:count]
    features = {"name": "features", "shape": [count, 68], "datatype": "FP64", "data": rows.tolist()}
    reply = client.post("/v2/models/north-of-20/infer", json={"inputs": [features]}).raise_for_status().json()
    north = batch(client, "/north-of-20/batch", rows)["probability"]
    assert reply["outputs"][1]["shape"] == [count, 2]
    assert reply["outputs"][1]["data"] == [part for each in north for part in (1 - each, each)]
