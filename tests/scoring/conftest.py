"""Fixtures: made pieces, what is to be predicted of them, and catalogues scored without a cluster or by the command."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from models.bundle import ModelBundle
from models.features import Floats
from scoring.catalogue import open_catalogue
from scoring.job import Job
from scoring.output import Outcome, open_output
from scoring.predictions import PARTS, predict
from tests.conftest import ROOT

Score = Callable[..., tuple[pa.Table, list[Outcome]]]
Scoring = subprocess.CompletedProcess[str]


def made_features(count: int, seed: int = 3) -> Floats:
    """So many rows (n, 68) as the data has them."""
    return np.random.default_rng(seed).normal(size=(count, 68)).astype(np.float32)


def made_table(features: Floats) -> pa.Table:
    """The features beside the ids of the rows."""
    columns = {f"feature_{number}": column for number, column in enumerate(features.T, 1)}
    return pa.table({"id": [f"piece {row:07}" for row in range(len(features))], **columns})


def write_catalogue(folder: Path, features: Floats, files: int) -> Path:
    """A catalogue of the features in so many files, each of which is a partition."""
    table, rows = made_table(features), len(features) // files
    for number in range(files):
        pq.write_table(table.slice(number * rows, rows), folder / f"{number:02}.parquet")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def written(folder: Path) -> pa.Table:
    """The whole of what was written, in its order."""
    assert (folder / "_SUCCESS").exists()
    assert not folder.with_name(f"{folder.name}.partial").exists()
    return ds.dataset(folder, format="parquet").to_table()


def assert_predicted(table: pa.Table, bundle: ModelBundle, features: Floats, parts: tuple[str, ...] = PARTS) -> None:
    """The table has what is predicted of these rows, in their order, but for the last digits."""
    for name, expected in predict(bundle, features, parts).items():
        column = table[name].combine_chunks()
        assert column.type == expected.type
        if name in {"latitude", "longitude"}:  # between points as good as each other, the last digits decide
            assert np.mean(column.to_numpy() == expected.to_numpy()) > 0.999
        elif pa.types.is_floating(expected.type):
            np.testing.assert_allclose(column.to_numpy(), expected.to_numpy(), rtol=1e-4, atol=1e-6)
        else:
            assert column.equals(expected), name


@pytest.fixture
def score(tmp_path: Path, bundle: ModelBundle) -> Score:
    """Scores a catalogue in this process, one partition after the other."""

    def score(
        address: object,
        output: str = "scored",
        columns: str | None = None,
        delimiter: str | None = None,
        header: str = "auto",
        parts: tuple[str, ...] = PARTS,
        bad_rows: str = "error",
        prefix: str = "",
    ) -> tuple[pa.Table, list[Outcome]]:
        catalogue = open_catalogue(str(address), columns, delimiter, header)
        job = Job(catalogue, open_output(str(tmp_path / output), "parquet"), parts, bad_rows, prefix)
        job.output.begin(job.plan(bundle), resume=False)
        outcomes = [job.score(bundle, index) for index in range(len(catalogue.partitions))]
        job.output.finish()
        return written(tmp_path / output), outcomes

    return score


def scoring_command(*arguments: object) -> list[str]:
    """The command with these arguments."""
    return [sys.executable, "-m", "scoring", *map(str, arguments)]


def run_scoring(*arguments: object, **environment: str) -> Scoring:
    """Runs the command."""
    command = scoring_command(*arguments)
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


def refused(run: Scoring) -> str:
    """What a run that was refused said: one line, and no stack trace."""
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error: ") or "\nerror: " in run.stderr
    return run.stderr
