"""A worker on another host, in a network namespace, whose link to the scheduler is cut in the middle."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from models.bundle import ModelBundle
from tests.conftest import ROOT, Require
from tests.scoring.clusters import dask_process, dask_scheduler, wait_for_outcomes
from tests.scoring.conftest import (
    assert_predicted,
    made_features,
    made_table,
    scoring_command,
    write_catalogue,
    written,
)

FILES = 30
# What Dask waits for on a silent connection: 30 seconds as it comes, and no less than this.
PATIENCE = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "11s"}


class Host(NamedTuple):
    """Another host: its name, its address, and that of this one as it sees it."""

    name: str
    address: str
    here: str


def ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def host(require: Require) -> Iterator[Host]:
    """A network namespace with a link to this one."""
    name = f"mo{uuid.uuid4().hex[:8]}"
    require(
        shutil.which("ip") and os.geteuid() == 0 and ip("netns", "add", name), "network namespaces cannot be made here"
    )
    octet = int(name[2:4], 16)
    host = Host(name, f"10.213.{octet}.2", f"10.213.{octet}.1")
    try:
        assert ip("link", "add", name, "type", "veth", "peer", "eth0", "netns", name)
        assert ip("address", "add", f"{host.here}/30", "dev", name)
        assert ip("link", "set", name, "up")
        assert ip("-n", name, "address", "add", f"{host.address}/30", "dev", "eth0")
        assert ip("-n", name, "link", "set", "eth0", "up")
        assert ip("-n", name, "link", "set", "lo", "up")
        yield host
    finally:
        ip("netns", "delete", name)
        ip("link", "delete", name)


def test_link_that_is_cut_changes_nothing(tmp_path: Path, host: Host, bundle: ModelBundle) -> None:
    features = made_features(FILES * 2_000)
    catalogue, output, folder = tmp_path / "catalogue", tmp_path / "scored", tmp_path / "cluster"
    catalogue.mkdir()
    folder.mkdir()
    write_catalogue(catalogue, features, FILES)

    one_thread = ("--nthreads", "1", "--no-nanny")
    away = ("ip", "netns", "exec", host.name)
    with (
        dask_scheduler(folder, "--host", host.here, **PATIENCE) as cluster,
        dask_process("worker", folder, cluster.address, *one_thread, "--name", "here", **PATIENCE),
        dask_process(
            "worker", folder, cluster.address, *one_thread, "--name", "away", before=away, **PATIENCE
        ) as cut_off,
    ):
        command = scoring_command(catalogue, output, "--scheduler", cluster.address)
        with subprocess.Popen(
            command, cwd=ROOT, env=os.environ | PATIENCE, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_for_outcomes(output, 5, process)
            assert ip("link", "set", host.name, "down")
            assert cut_off.poll() is None, "the worker should go on, unheard"
            _, stderr = process.communicate()
        assert process.returncode == 0, stderr
        assert "away" in (folder / "scheduler.log").read_text().partition("Remove worker")[2]
    assert written(output)["id"].equals(made_table(features)["id"])
    assert_predicted(written(output), bundle, features)
