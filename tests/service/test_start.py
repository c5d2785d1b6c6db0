"""`python -m service`: its options, its first lines, and what the connections get of it."""

import resource
import subprocess
import sys

import pytest

from service.__main__ import arguments
from tests.conftest import ROOT, RunServer


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "99999"], "'99999' is no port: it must be a whole number from 0 to 65535"),
        (["--port", "-1"], "is no port"),
        (["--root-path", "music"], "'music' must begin with a slash"),
        (["--workers", "0"], "'0' must be a whole number above zero"),
        (["--reload"], "unrecognized arguments: --reload"),
    ],
)
def test_wrong_options_are_said(options: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "service", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert sentence in run.stderr.replace("\n", " ").replace("  ", " ")


def test_every_option_has_a_default_and_is_explained() -> None:
    for action in arguments()._actions[1:]:
        assert action.help
        assert action.default is not None


def test_every_line_is_json_from_the_first_on(run_server: RunServer) -> None:
    with run_server(shipped=True) as server:
        reply = server.client.get("/health/live")
    assert "server" not in reply.headers
    assert len(server.lines()) == len(server.log.read_text().splitlines())
    assert "Started server process" in server.lines()[0]["message"]


def test_as_many_connections_as_the_system_allows(run_server: RunServer) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
        with run_server(shipped=True) as server:
            assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_sighup_before_there_are_models_is_no_end() -> None:
    code = """
import os, signal, sys
import service.__main__ as start

def read_settings():
    os.kill(os.getpid(), signal.SIGHUP)
    raise start.SettingsError("it goes on")

start.read_settings = read_settings
sys.argv = ["service"]
start.main()
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (1, "error: it goes on\n")
