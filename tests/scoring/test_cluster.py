"""Scoring on a cluster whose workers know nothing of it, and one of which is lost."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from models.archive import DEFAULT_BUNDLE
from models.bundle import ModelBundle
from scoring import cluster as dask
from scoring.__main__ import main
from scoring.catalogue import open_catalogue
from scoring.cluster import Scorer
from scoring.job import Job
from scoring.output import open_output
from scoring.predictions import PARTS
from tests.conftest import ROOT, free_port
from tests.scoring.clusters import Cluster, dask_cluster, dask_process, dask_scheduler, wait_for_outcomes
from tests.scoring.conftest import (
    assert_predicted,
    contents,
    made_features,
    made_table,
    refused,
    run_scoring,
    scoring_command,
    write_catalogue,
    written,
)

FILES = 40
FEATURES = made_features(FILES * 2_000)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of many files, so of many partitions."""
    return write_catalogue(tmp_path_factory.mktemp("catalogue"), FEATURES, FILES)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of two workers."""
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster:
        yield cluster


def test_worker_that_is_killed_changes_nothing(
    tmp_path: Path, catalogue: Path, cluster: Cluster, bundle: ModelBundle
) -> None:
    imported = subprocess.run([sys.executable, "-c", "import scoring"], cwd=cluster.folder, capture_output=True)
    assert imported.returncode != 0, "the workers should have nothing but models/"
    alone, together = tmp_path / "alone", tmp_path / "together"
    run = run_scoring(catalogue, alone, "--workers", "1")
    assert run.returncode == 0, run.stderr
    assert_predicted(written(alone), bundle, FEATURES)
    assert written(alone)["id"].equals(made_table(FEATURES)["id"])

    command = scoring_command(catalogue, together, "--scheduler-file", cluster.scheduler_file)
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        wait_for_outcomes(together, 5, process)
        cluster.workers[0].kill()
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert contents(together) == contents(alone)


def test_worker_that_lacks_the_models_says_so(tmp_path: Path, catalogue: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    with (
        dask_scheduler(tmp_path / "bare", "--host", "127.0.0.1") as cluster,
        dask_process("worker", tmp_path, cluster.address, "--no-nanny", "--nthreads", "1"),
    ):
        said = refused(run_scoring(catalogue, tmp_path / "scored", "--scheduler", cluster.address))
    assert "a worker cannot take the job: it needs models/" in said
    assert "No module named 'models'" in said


def test_no_scheduler_is_said(
    tmp_path: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask, "WAIT_SECONDS", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    assert main([str(catalogue), str(tmp_path / "scored"), "--scheduler", address]) == 2
    assert f"error: no scheduler can be reached at {address}" in capsys.readouterr().err
    for content in ("", "[]", "{}"):
        file = tmp_path / "scheduler.json"
        file.write_text(content)
        assert main([str(catalogue), str(tmp_path / "again"), "--scheduler-file", str(file), "--resume"]) == 2
        assert f"{file} is no file that a Dask scheduler wrote" in capsys.readouterr().err


def test_no_worker_is_said(
    tmp_path: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask, "WAIT_SECONDS", 0.5)
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", workers=0) as cluster:
        assert main([str(catalogue), str(tmp_path / "scored"), "--scheduler", cluster.address]) == 2
    assert "no worker has joined the scheduler within 0.5 seconds" in capsys.readouterr().err


def test_scheduler_that_is_lost_is_said(
    tmp_path: Path,
    catalogue: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scheduler, output = cluster.scheduler, tmp_path / "scored"
    assert scheduler

    def lose() -> None:
        wait_for_outcomes(output, 3, scheduler)
        scheduler.kill()

    monkeypatch.setattr(dask, "WAIT_SECONDS", 2)
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(lose)
        assert main([str(catalogue), str(output), "--scheduler", cluster.address]) == 2
        lost.result()
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "error: the scheduler was lost; --resume goes on with what is not done yet"
    assert main([str(catalogue), str(output), "--resume", "--workers", "1"]) == 0
    assert written(output)["id"].equals(made_table(FEATURES)["id"])


def test_file_that_is_gone_on_the_worker_is_said(
    tmp_path: Path, catalogue: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the input is on a disk that the worker has not."""
    copy, score = tmp_path / "copy", dask.score
    shutil.copytree(catalogue, copy)

    def score_after_loss(*arguments: Any) -> Any:
        (copy / "03.parquet").unlink()
        return score(*arguments)

    monkeypatch.setattr(dask, "PAUSES", (0, 0))
    monkeypatch.setattr("scoring.__main__.score", score_after_loss)
    assert main([str(copy), str(tmp_path / "scored"), "--workers", "1"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {copy}/03.parquet: ")
    assert said.endswith("; --resume goes on with what is not done yet")


def test_bundle_is_checked_where_it_arrives(tmp_path: Path, catalogue: Path, bundle: ModelBundle) -> None:
    content = DEFAULT_BUNDLE.read_bytes()
    job = Job(
        open_catalogue(str(catalogue), None, None, "auto"), open_output(str(tmp_path), "parquet"), PARTS, "error", ""
    )

    class Worker:
        address = "tcp://w"

    for bytes_of_it, fingerprint, message in (
        (content, bundle.fingerprint[::-1], "tcp://w reads another fingerprint in the bundle that it was given"),
        (content[:-1] + bytes([content[-1] ^ 1]), bundle.fingerprint, "the bundle that tcp://w was given was altered"),
    ):
        with pytest.raises(Exception, match=message):
            Scorer(job, bytes_of_it, fingerprint).setup(Worker())  # type: ignore[arg-type]
    Scorer(job, content, bundle.fingerprint).setup(Worker())  # type: ignore[arg-type]
