"""The image, built and run for real."""

import json
import re
import socket
import subprocess

import httpx
import pytest
from playwright.sync_api import Browser

from service.schemas import EXAMPLE_FEATURES
from tests.browser import assert_page_shows_a_piece
from tests.conftest import assert_close
from tests.containers import IMAGE, run

PIECE = {"features": EXAMPLE_FEATURES}


@pytest.mark.parametrize("path", ["/genre", "/origin", "/north-of-20", "/north-of-20?network=simple"])
def test_container_answers_as_the_local_service(client: httpx.Client, address: str, path: str) -> None:
    reply = httpx.post(f"http://{address}{path}", json=PIECE).raise_for_status().json()
    assert_close(reply, client.post(path, json=PIECE).json())


def test_container_shows_the_docs_page(address: str) -> None:
    assert "swagger-ui" in httpx.get(f"http://{address}/docs").raise_for_status().text
    assert httpx.get(f"http://{address}/docs/assets/swagger-ui-bundle.js").raise_for_status().content


def test_page_of_the_container_shows_a_piece(browser: Browser, address: str) -> None:
    assert_page_shows_a_piece(browser, f"http://{address}")


def test_health_check_tells_a_working_service_from_none(engine: str, container: str, address: str) -> None:
    assert address
    _, *check = json.loads(run(engine, "inspect", "--format={{json .Config.Healthcheck.Test}}", container))
    run(engine, "exec", container, *check)
    broken = subprocess.run([engine, "run", "--rm", IMAGE, *check], capture_output=True, text=True)
    assert broken.returncode != 0


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "with a client that never finishes"])
def test_container_stops_within_two_seconds(engine: str, container: str, address: str, busy: bool) -> None:
    """Past its two seconds the engine kills, which shows as status 137."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        if busy:
            connection.sendall(
                b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
            )
        run(engine, "stop", "--time=2", container)
    assert run(engine, "inspect", "--format={{.State.ExitCode}}", container) in {"0", "143"}


def test_image_holds_only_what_serving_needs(engine: str) -> None:
    assert run(engine, "run", "--rm", IMAGE, "id", "-u") == "10001"
    files = run(engine, "run", "--rm", IMAGE, "find", "/app", "-type", "f", "-not", "-name", "*.pyc").split()
    assert {re.sub(r"/app/(\w+)/.*", r"\1", file) for file in files} == {"models", "service"}
    data = [file for file in files if not file.endswith(".py") and not file.startswith("/app/service/page/")]
    artifacts = {file.removeprefix("/app/models/artifacts/") for file in data}
    plots = {file for file in artifacts if re.fullmatch(r"plots/\w+\.png", file)}
    assert artifacts - plots == {"bundle.npz", "MODEL_CARD.md"}
    assert len(plots) == 8
    installed = run(engine, "run", "--rm", IMAGE, "sh", "-c", "ls /venv/lib/python3*/site-packages").split()
    assert "fastapi" in installed
    assert not {"tensorflow", "keras", "pip", "httpx", "pytest"} & set(installed)
    compilers = run(engine, "run", "--rm", IMAGE, "sh", "-c", "command -v gcc cc clang || true")
    assert compilers == ""


def test_compiled_files_are_there_so_that_starting_is_quick(engine: str) -> None:
    compiled = run(engine, "run", "--rm", IMAGE, "find", "/app", "/venv", "-name", "*.pyc").split()
    assert any("/service/__pycache__/app." in file for file in compiled)
    assert any("/fastapi/__pycache__/routing." in file for file in compiled)
