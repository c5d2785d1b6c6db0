"""Every path, every method and every kind of bad input: what comes back is an error of the form that was promised."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import jsonschema_rs
import pytest

from tests.bad_requests import (
    BAD_BODIES,
    JSON,
    MAX_BODY_BYTES,
    METHODS,
    ODDITIES,
    SECRET,
    UNKNOWN_PATHS,
    Input,
)
from tests.conftest import StartServer


class Walked(NamedTuple):
    """A service with little room for bodies, its OpenAPI document, and what is known of its errors."""

    client: httpx.Client
    document: dict[str, Any]
    version: str

    def schema(self, schema: dict[str, Any]) -> jsonschema_rs.Validator:
        """What holds JSON to a schema of the document."""
        return jsonschema_rs.validator_for({**schema, "components": self.document["components"]})

    def operations(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every path, its variables filled in, with its operations by method."""
        for path, operations in self.document["paths"].items():
            filled = path.replace("{model}", "genre").replace("{version}", self.version)
            yield filled, {method.upper(): operation for method, operation in operations.items()}

    def send(self, method: str, path: str, given: Input, operation: dict[str, Any]) -> httpx.Response:
        content, headers = given.content, given.headers
        if content is None and "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            if "$ref" in schema:
                schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            content, headers = json.dumps(schema["examples"][0]).encode(), {**JSON, **headers}
        return self.client.request(method, path, params=given.query or None, content=content, headers=headers)

    def check(self, reply: httpx.Response) -> None:
        """Every reply is named, and every error has the form that it should, and repeats nothing of the request."""
        request_id = reply.headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", request_id)
        assert reply.headers["x-model-version"] == self.version
        assert reply.status_code < 500
        if reply.status_code < 400:
            return
        assert SECRET not in f"{reply.text}{reply.headers}"
        if reply.request.method == "HEAD":
            assert reply.content == b""
            assert int(reply.headers["content-length"]) > 0
            return
        body = reply.json(parse_constant=pytest.fail)
        inference = reply.request.url.path.startswith("/v2")
        name = "InferenceError" if inference else "Problem"
        self.schema({"$ref": f"#/components/schemas/{name}"}).validate(body)
        assert body.keys() <= self.document["components"]["schemas"][name]["properties"].keys()
        if inference:
            assert reply.headers["content-type"] == "application/json"
            assert body["error"]
            return
        assert reply.headers["content-type"] == "application/problem+json"
        assert body["status"] == reply.status_code
        assert body["detail"]
        assert body["instance"] == f"urn:request:{request_id}"
        assert body["type"].startswith("/problems/")


def walk(client: httpx.Client) -> Walked:
    return Walked(client, client.get("/openapi.json").json(), client.get("/health/ready").json()["model_version"])


@pytest.fixture(scope="module")
def walked(start_server: StartServer) -> Iterator[Walked]:
    with start_server(MUSIC_ORIGIN_MAX_BODY_BYTES=str(MAX_BODY_BYTES)) as client:
        yield walk(client)


def allowed(operations: dict[str, Any]) -> set[str]:
    """The methods that the document has for a path, and HEAD, which goes without saying."""
    return {*operations, "HEAD"} if "GET" in operations else {*operations}


@pytest.mark.parametrize("name", [*BAD_BODIES, *ODDITIES])
@pytest.mark.parametrize("method", METHODS)
def test_every_error_is_documented_and_of_the_documented_form(walked: Walked, method: str, name: str) -> None:
    given = (BAD_BODIES | ODDITIES)[name]
    for path, operations in walked.operations():
        documented_as = "GET" if method == "HEAD" else method
        operation = operations.get(documented_as, {})
        reply = walked.send(method, path, given, operation)
        walked.check(reply)
        if not operation:
            assert reply.status_code == 405, path
            assert {*reply.headers["allow"].split(", ")} == allowed(operations), path
            continue
        documented = operation["responses"][str(reply.status_code)]
        assert reply.headers["content-type"].partition(";")[0] in documented["content"], path
        if method == "POST" and name in BAD_BODIES and not (name == "length of a head" and "/v2" not in path):
            assert reply.status_code >= 400, path


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", METHODS)
def test_there_is_nothing_at_other_paths(walked: Walked, method: str, path: str) -> None:
    for given in (*BAD_BODIES.values(), *ODDITIES.values()):
        reply = walked.client.request(
            method, path, content=given.content, headers=given.headers, params=given.query or None
        )
        walked.check(reply)
        assert reply.status_code in (404, 405) or (method == "POST" and path.endswith("/infer"))


def test_types_of_problems_are_explained(walked: Walked) -> None:
    content = [
        response["content"]["application/problem+json"]
        for _, operations in walked.operations()
        for operation in operations.values()
        for response in operation["responses"].values()
        if "application/problem+json" in response["content"]
    ]
    types = {each["example"]["type"] for each in content}
    replies = [walked.client.get("/nothing"), walked.client.put("/genre"), walked.client.get("/docs/assets/nothing")]
    for kind in {*types, *(reply.json()["type"] for reply in replies)}:
        page = walked.client.get(kind)
        assert page.status_code == 200
        assert f"<code>{kind}</code>" in page.text
    assert len(types) > 8


def test_examples_of_the_document_fit_its_schemas(walked: Walked) -> None:
    examples = 0
    for _, operations in walked.operations():
        for operation in operations.values():
            for part in (operation.get("requestBody", {}), *operation["responses"].values()):
                for each in part.get("content", {}).values():
                    for example in [
                        *each["schema"].get("examples", []),
                        *([each["example"]] if "example" in each else []),
                    ]:
                        walked.schema(each["schema"]).validate(example)
                        examples += 1
    for schema in walked.document["components"]["schemas"].values():
        for example in schema.get("examples", []):
            walked.schema(schema).validate(example)
            examples += 1
    assert examples > 50


def test_no_other_errors_are_documented_than_problems_and_those_of_the_protocol(walked: Walked) -> None:
    for path, operations in walked.operations():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    name, form = ("InferenceError", "json") if path.startswith("/v2") else ("Problem", "problem+json")
                    assert response["content"].keys() == {f"application/{form}"}
                    schema = response["content"][f"application/{form}"]["schema"]
                    assert schema == {"$ref": f"#/components/schemas/{name}"}, (path, status)
                    assert response["description"]


def test_head_has_the_length_of_get_and_no_body(walked: Walked) -> None:
    paths = [path for path, operations in walked.operations() if "GET" in operations]
    # What /metrics says changes from one request to the next.
    for path in ("/docs", "/problems", "/openapi.json", "/docs/assets/favicon.png", "/nothing", *paths):
        asked, got = walked.client.head(path), walked.client.get(path)
        assert asked.status_code == got.status_code
        assert asked.content == b""
        names = ["content-type", "vary", "x-model-version", *(["content-length"] if path != "/metrics" else [])]
        assert [asked.headers.get(name) for name in names] == [got.headers.get(name) for name in names]
    assert 'method="HEAD",path="/genres"' in walked.client.get("/metrics").text


def test_keys_are_asked_for_where_the_document_says_so(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_API_KEY=SECRET) as client:
        walked = walk(client)
        asking = set()
        for path, operations in walked.operations():
            for method, operation in operations.items():
                for headers in ({}, {"X-API-Key": "another"}, {"Authorization": "Bearer another"}):
                    reply = walked.send(method, path, Input(headers=headers), operation)
                    walked.check(reply)
                    assert (reply.status_code == 401) == ("security" in operation) == ("401" in operation["responses"])
                if "security" in operation:
                    assert reply.headers["www-authenticate"] == 'Bearer realm="music-origin"'
                    asking.add(path)
                    given = Input(headers={"Authorization": f"Bearer {SECRET}"})
                    assert walked.send(method, path, given, operation).status_code == 200
        assert {"/genre", "/metrics", "/v2/models/genre/infer"} < asking


def test_pages_that_may_not_ask_are_refused_as_others_are(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_CORS_ORIGINS="https://known.example") as client:
        walked = walk(client)
        known = {"Origin": "https://known.example", "Access-Control-Request-Method": "POST"}
        for path, _ in walked.operations():
            for wrong in (
                {"Origin": f"https://{SECRET}.example"},
                {"Access-Control-Request-Method": SECRET},
                {"Access-Control-Request-Headers": SECRET},
            ):
                reply = client.options(path, headers={**known, **wrong})
                walked.check(reply)
                assert reply.status_code == 400
                assert "access-control-allow-origin" not in reply.headers
            assert client.options(path, headers=known).headers["access-control-allow-origin"] == known["Origin"]


def test_late_bodies_and_crowds_are_refused_as_the_document_says(start_server: StartServer) -> None:
    with start_server(MUSIC_ORIGIN_MAX_CONCURRENCY="1", MUSIC_ORIGIN_REQUEST_TIMEOUT="2") as client:
        walked = walk(client)
        crowd = []

        def late(path: str, operation: dict[str, Any]) -> Iterator[bytes]:
            yield b"{"
            time.sleep(0.1)
            crowd.append(walked.send("POST", path, Input(), operation))
            time.sleep(2.5)

        for path, operations in walked.operations():
            if operation := operations.get("POST"):
                reply = client.post(path, content=late(path, operation), headers=JSON)
                assert (reply.status_code, crowd[-1].status_code) == (408, 429)
                assert crowd[-1].headers["retry-after"] == "1"
                for each in (reply, crowd[-1]):
                    walked.check(each)
                    assert str(each.status_code) in operation["responses"]
                assert walked.send("POST", path, Input(), operation).status_code == 200
        assert len(crowd) == 8
