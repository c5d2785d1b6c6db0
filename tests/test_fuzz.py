"""schemathesis takes the OpenAPI document at its word, and the service at its document's."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ROOT, StartServer

KEY = "a-key-for-the-fuzzer"


def fuzz(client: httpx.Client, folder: Path, *options: str) -> dict[str, Any]:
    """The report of a run of all phases with all checks, which has nothing to complain of."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", "tests/schemathesis.toml"]
    arguments = ["run", f"{client.base_url}/openapi.json", "--report", "json", "--report-json-path", str(report)]
    run = subprocess.run(
        [*command, *arguments, *options], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    assert found["complete"]
    assert {name: phase["status"] for name, phase in found["phases"].items()} == dict.fromkeys(
        ["examples", "coverage", "fuzzing", "stateful"], "success"
    )
    assert not any(found["warnings"].values()), found["warnings"]
    paths = client.get("/openapi.json").json()["paths"]
    labels = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    assert found["valid_rates"].keys() == labels
    for label, phases in found["valid_rates"].items():
        assert any(outcomes["accepted"] for outcomes in phases.values()), f"nothing valid was sent to {label}"
    return found


def test_fuzzer_finds_nothing(start_server: StartServer, tmp_path: Path) -> None:
    with start_server() as client:
        assert fuzz(client, tmp_path, "--max-examples", "100")["test_cases"]["generated"] >= 2000


def test_fuzzer_finds_no_way_around_the_key(start_server: StartServer, tmp_path: Path) -> None:
    """Each operation that needs a key is also asked without one, and with a wrong one in each of the two headers."""
    with start_server(MUSIC_ORIGIN_API_KEY=KEY) as client:
        report = fuzz(client, tmp_path, "--max-examples", "10", "--header", f"Authorization: Bearer {KEY}")
    assert report["test_cases"]["generated"] >= 500
