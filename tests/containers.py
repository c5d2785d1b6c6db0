"""Fixtures: the image, built once for all tests, and containers of it."""

import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import ROOT, Require

IMAGE = "music-origin-test"
BASE_IMAGE = os.environ.get("PYTHON_IMAGE") or "python:3.13-slim"
RESTRICTIONS = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")


@pytest.fixture(scope="session")
def engine(require: Require) -> str:
    """Podman or Docker, with the image built."""
    engine = shutil.which("podman") or shutil.which("docker")
    require(engine, "neither podman nor docker is installed")
    build = subprocess.run(["make", "image", f"IMAGE={IMAGE}"], cwd=ROOT, capture_output=True, text=True)
    require(build.returncode == 0, f"the image cannot be built here: {build.stderr[-2000:]}")
    trial = subprocess.run([str(engine), "run", "--rm", IMAGE, "true"], capture_output=True, text=True)
    require(trial.returncode == 0, f"containers cannot be run here: {trial.stderr[-2000:]}")
    return str(engine)


def run(*command: str) -> str:
    """What a command says that must succeed."""
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.fixture
def container(engine: str) -> Iterator[str]:
    """A running container, as locked down as it can be."""
    name = f"{IMAGE}-{uuid.uuid4().hex[:8]}"
    try:
        run(engine, "run", "--detach", "--name", name, *RESTRICTIONS, "--publish=127.0.0.1::8000", IMAGE)
        yield name
    finally:
        subprocess.run([engine, "rm", "--force", name], capture_output=True)


@pytest.fixture
def address(engine: str, container: str) -> str:
    """Where the container's service answers."""
    port = run(engine, "port", container, "8000").splitlines()[0].rpartition(":")[2]
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health/ready").raise_for_status()
        except httpx.TransportError:
            assert run(engine, "inspect", "--format={{.State.Running}}", container) == "true"
            time.sleep(0.1)
        else:
            return f"127.0.0.1:{port}"
