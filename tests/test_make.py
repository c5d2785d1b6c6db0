"""The commands of the Makefile, in a fresh copy of the project."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pyarrow.dataset
import pytest
from playwright.sync_api import Browser

from benchmarks.serving.stacks import OURS
from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.browser import assert_page_shows_a_piece
from tests.conftest import ROOT, Require, free_port

NOT_IN_GIT = shutil.ignore_patterns(".venv", ".bench", ".git", "__pycache__", ".*_cache")


# A `make test` around these tests hands its own arguments on in these; the `make` under test is to start afresh.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKEOVERRIDES", "PYTHON"}
}
MAKE = ["make", f"PYTHON={sys.executable}"]


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAKE, *arguments], cwd=project, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, require: Require) -> Path:
    """A copy of the project with nothing but what serving needs installed, after an install that was interrupted."""
    project = tmp_path_factory.mktemp("fresh") / "music-origin"
    shutil.copytree(ROOT, project, ignore=NOT_IN_GIT)
    subprocess.run([sys.executable, "-m", "venv", project / ".venv"], check=True)
    for name in ("unfinished", "left-over"):
        (project / ".venv" / name).touch()
    install = make(project, ".venv/serve.installed")
    require(install.returncode == 0, f"packages cannot be installed here: {install.stderr[-2000:]}")
    return project


@pytest.fixture(scope="module")
def port(project: Path) -> Iterator[int]:
    """The port of a service that `make serve` started."""
    port = free_port()
    with subprocess.Popen(
        [*MAKE, "serve", f"PORT={port}"], cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as serve:
        assert serve.stdout is not None
        log = []
        for line in serve.stdout:
            log.append(line)
            if "Uvicorn running on" in line:
                break
        assert f"http://127.0.0.1:{port}" in log[-1], "".join(log)
        yield port
        serve.terminate()


def test_make_serve_answers(port: int, bundle: ModelBundle) -> None:
    reply = httpx.post(f"http://127.0.0.1:{port}/genre", json={"features": EXAMPLE_FEATURES}).raise_for_status()
    assert reply.json()["model_version"] == bundle.version


def test_make_serve_shows_the_page(browser: Browser, port: int) -> None:
    assert_page_shows_a_piece(browser, f"http://127.0.0.1:{port}")


def test_taken_port_is_said(project: Path, port: int) -> None:
    serve = make(project, "serve", f"PORT={port}")
    assert serve.returncode != 0
    assert "address already in use" in serve.stdout
    assert f"'127.0.0.1', {port}" in serve.stdout
    assert "Traceback" not in serve.stdout + serve.stderr


def test_host_is_honoured(project: Path) -> None:
    dry_run = make(project, "--dry-run", "serve", "HOST=::1", "PORT=9")
    assert "--host ::1 --port 9" in dry_run.stdout


def test_serving_needs_no_tensorflow(project: Path) -> None:
    packages = {path.name for path in (project / ".venv").glob("lib/python3*/site-packages/*")}
    assert "uvicorn" in packages
    assert not {"tensorflow", "keras", "httpx", "pytest", "sklearn"} & packages


def test_interrupted_install_starts_afresh(project: Path) -> None:
    assert not (project / ".venv" / "left-over").exists()
    assert not (project / ".venv" / "unfinished").exists()


def test_training_without_its_packages_says_what_to_do(project: Path) -> None:
    command = [str(project / ".venv" / "bin" / "python"), "-m", "training"]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert run.returncode != 0
    assert "which is not installed: run `make train`" in run.stderr
    assert "Traceback" not in run.stderr


def test_scoring_without_its_packages_says_what_to_do(project: Path) -> None:
    command = [str(project / ".venv" / "bin" / "python"), "-m", "scoring", "in", "out"]
    run = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert run.returncode != 0
    assert "which is not installed: run `make scoring`" in run.stderr
    assert "Traceback" not in run.stderr


def test_readme_scores_a_catalogue_alone_and_on_a_cluster(project: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Score a whole catalogue")[2]
    alone, cluster = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    for command in alone.replace("10000000", "2003").splitlines():
        run = make(project, *shlex.split(command)[1:])
        assert run.returncode == 0, run.stderr
    scheduler, workers, score = cluster.splitlines()
    build = project / "build"
    with ExitStack() as stack:
        for command in (scheduler, workers):
            process = subprocess.Popen(shlex.split(command), cwd=project, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            while not (build / "scheduler.json").exists():
                assert process.poll() is None
                time.sleep(0.05)
        run = subprocess.run(shlex.split(score), cwd=project, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    once, again = (
        {path.name: path.read_bytes() for path in (build / name).iterdir()} for name in ("scored", "scored-too")
    )
    assert once == again
    assert pyarrow.dataset.dataset(build / "scored").count_rows() == 2003


def test_missing_python_is_said(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "copy", ignore=NOT_IN_GIT)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "sh"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    environment = ENVIRONMENT | {"PATH": str(tools)}
    serve = subprocess.run(["make", "serve"], cwd=tmp_path / "copy", env=environment, capture_output=True, text=True)
    assert serve.returncode != 0
    assert "Python 3.11, 3.12 or 3.13 is needed" in serve.stderr


def test_service_is_started_alike_everywhere() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", "")
    (served,) = re.findall(r"bin/python (-m service .*)", makefile.replace("$(BIN)", "bin"))
    (contained,) = re.findall(r"^CMD (.*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    program, *arguments = json.loads(contained)
    assert program == OURS.program == "python"
    places = {"$(HOST)": "0.0.0.0", "$(PORT)": "8000", "127.0.0.1": "0.0.0.0", "{port}": "8000"}
    assert [places.get(each, each) for each in served.split()] == arguments
    assert [places.get(each, each) for each in OURS.arguments] == arguments
