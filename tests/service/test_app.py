import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT

FASTAPI = str(Path(sys.executable).with_name("fastapi"))
SERVERS: dict[str, list[str]] = {
    "uvicorn": [sys.executable, "-m", "uvicorn", "service.app:app", "--port", "0"],
    "fastapi run": [FASTAPI, "run", "--port", "0"],
}


def start_and_fail(server: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        SERVERS[server], env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def broken_bundle(path: Path, kind: str) -> Path:
    content = DEFAULT_BUNDLE.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "altered":
        with np.load(DEFAULT_BUNDLE) as saved:
            arrays: dict[str, Any] = dict(saved)
        arrays["centroids"] = arrays["centroids"] + 1e-9
        np.savez(path, **arrays)
    elif kind == "mismatched":
        with np.load(DEFAULT_BUNDLE) as saved:
            arrays = dict(saved)
        arrays["centroids"] = arrays["centroids"][:9]
        np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("missing", "bundle.npz cannot be read (No such file or directory): train the models or restore the file"),
        ("truncated", "bundle.npz is not a complete model bundle: restore the file or train again"),
        ("altered", "bundle.npz was altered after training"),
        ("mismatched", "bundle.npz is not a complete model bundle"),
    ],
)
def test_service_does_not_start_on_a_broken_bundle(tmp_path: Path, server: str, kind: str, sentence: str) -> None:
    bundle = broken_bundle(tmp_path / "bundle.npz", kind)
    run = start_and_fail(server, MUSIC_ORIGIN_BUNDLE=str(bundle), COLUMNS="300")
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert sentence in output
    assert "Traceback" not in output


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MUSIC_ORIGIN_MAX_BODY_BYTES": "many"}, "MUSIC_ORIGIN_MAX_BODY_BYTES: Input should be a valid integer"),
        ({"MUSIC_ORIGIN_API_KEY": ""}, "MUSIC_ORIGIN_API_KEY: it holds no key"),
        ({"MUSIC_ORIGIN_TELEMETRY": "perhaps"}, "MUSIC_ORIGIN_TELEMETRY: Input should be a valid boolean"),
    ],
)
def test_service_does_not_start_on_a_wrong_setting(server: str, variables: dict[str, str], sentence: str) -> None:
    run = start_and_fail(server, **variables, COLUMNS="300")
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert sentence in output
    assert "Traceback" not in output


def test_unforeseen_failure_at_the_start_keeps_its_stack_trace() -> None:
    code = """
import uvicorn
import service.reloading
service.reloading.warm_up = lambda *_: 1 / 0
uvicorn.run("service.app:app", port=0)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode != 0
    assert "ZeroDivisionError" in run.stderr


def test_openapi_describes_every_field_and_parameter(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for name, schema in document["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, definition in schema["properties"].items():
            assert definition.get("description"), f"{name}.{field}"
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["description"], path
            assert all(parameter["description"] for parameter in operation.get("parameters", []))


def test_openapi_has_the_examples_and_the_error_replies(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert document["components"]["schemas"]["Piece"]["examples"] == [{"features": EXAMPLE_FEATURES}]
    for path in ("/genre", "/north-of-20", "/origin"):
        operation = document["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/Piece"}
        for status in ("413", "415", "422"):
            content = operation["responses"][status]["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert content["example"]["status"] == int(status)
    assert [operation["operationId"] for path in document["paths"].values() for operation in path.values()] == [
        "genre",
        "north_of_20",
        "origin",
        "genre_batch",
        "north_of_20_batch",
        "origin_batch",
        "genres",
        "live",
        "ready",
        "model",
        "model_card",
        "metrics",
        "inference_server",
        "inference_live",
        "inference_ready",
        "inference_models",
        "inference_model",
        "inference_model_version",
        "inference_model_ready",
        "inference_model_version_ready",
        "infer",
        "infer_version",
    ]


def test_example_is_made_and_no_piece_of_the_data(dataset: Any) -> None:
    assert len(EXAMPLE_FEATURES) == 68
    assert np.abs(dataset.features - EXAMPLE_FEATURES).max(axis=1).min() > 0.5


def test_fastapi_run_serves_too() -> None:
    with subprocess.Popen(
        [FASTAPI, "run", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "300"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Application startup complete" in line:
                break
        process.terminate()
    assert any("Application startup complete" in line for line in lines), "".join(lines)
