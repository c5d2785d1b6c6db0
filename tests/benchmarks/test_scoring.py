"""What scoring is measured beside does the same work, and what differs is seen."""

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.scoring import agreement
from benchmarks.scoring.catalogue import make_files
from benchmarks.scoring.contenders import ONE_WORKER, YARDSTICKS
from benchmarks.scoring.run import RunError, run
from tests.conftest import Require

ROWS = 5_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_files(tmp_path_factory.mktemp("catalogue"), ROWS)


def test_yardstick_writes_what_scoring_does(files: list[Path], tmp_path: Path, require: Require) -> None:
    require(sys.platform == "linux", "processes are watched by /proc")
    ours = run(ONE_WORKER, files, tmp_path / "ours")
    run(YARDSTICKS, files, tmp_path / "yardsticks")
    rows = agreement.read(tmp_path / "ours")
    assert len(rows) == ROWS
    assert agreement.differing_rows(rows, agreement.read(tmp_path / "yardsticks")) == 0
    assert 0 < ours.largest_megabytes < ours.megabytes  # the worker is seen beside the process that started it
    assert ours.cpu_seconds > 0


def test_what_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such file"):
        run(ONE_WORKER, [tmp_path / "missing.parquet"], tmp_path / "output")


def test_differing_rows_are_counted_and_other_genres_refused() -> None:
    rows = pa.table(
        {"id": ["a", "b"], "genre": [1, 2], "probability": pa.array([0.5, 0.6], pa.float32()), "country": ["x", "y"]}
    )
    rounded = changed(rows, "probability", pa.array([0.5, 0.600001], pa.float32()))
    assert agreement.differing_rows(rows, rounded) == 0
    assert agreement.differing_rows(rows, changed(rows, "probability", pa.array([0.5, 0.61], pa.float32()))) == 1
    assert agreement.differing_rows(rows, changed(rows, "country", pa.array(["x", "x"]))) == 1
    for column, values in (("genre", pa.array([1, 3])), ("id", pa.array(["a", "c"]))):
        with pytest.raises(agreement.DisagreementError):
            agreement.differing_rows(rows, changed(rows, column, values))


def changed(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(column), column, values)
