"""The command, as a user runs it."""

import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.bundle import ModelBundle
from scoring.__main__ import main, parse_arguments
from tests.conftest import ROOT
from tests.scoring.clusters import wait_for_outcomes
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

FILES = 12
FEATURES = made_features(FILES * 4_000)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of several files."""
    return write_catalogue(tmp_path_factory.mktemp("catalogue"), FEATURES, FILES)


@pytest.fixture(scope="module")
def scored(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the command makes of it, undisturbed."""
    output = tmp_path_factory.mktemp("scored") / "out"
    run = run_scoring(catalogue, output)
    assert run.returncode == 0, run.stderr
    return contents(output)


def test_command_scores_and_sums_up(
    tmp_path: Path, catalogue: Path, scored: dict[str, bytes], bundle: ModelBundle
) -> None:
    run = run_scoring(catalogue, tmp_path / "out", "--summary", "--workers", "2")
    assert run.returncode == 0, run.stderr
    assert_predicted(written(tmp_path / "out"), bundle, FEATURES)
    assert contents(tmp_path / "out") == scored  # running twice gives the same bytes
    summary = json.loads(run.stdout)
    assert summary.pop("seconds") > 0
    assert summary.pop("rows_per_second") > 0
    assert summary == {
        "output": str(tmp_path / "out"),
        "model_version": bundle.version,
        "rows": len(FEATURES),
        "rows_written": len(FEATURES),
        "bad_rows": 0,
        "first_bad_row": None,
        "partitions": FILES,
        "partitions_resumed": 0,
    }
    understood, done = run.stderr.splitlines()
    assert understood == f"Files: {FILES}. Features: 'feature_1' to 'feature_68'. Passed through: id."
    assert done.startswith(f"Rows: {len(FEATURES):,}, of which 0 bad, in ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_run_that_ended_early_is_gone_on_with(
    tmp_path: Path, catalogue: Path, scored: dict[str, bytes], number: signal.Signals
) -> None:
    output = tmp_path / "out"
    command = scoring_command(catalogue, output, "--workers", "1")
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, process_group=0) as process:
        wait_for_outcomes(output, 2, process)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as Ctrl-C does
        else:
            process.send_signal(number)
        _, stderr = process.communicate()
    assert not output.exists()
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert stderr.splitlines()[1:] == [f"interrupted: --resume goes on where this run of {output} was"]
    assert "--resume" in refused(run_scoring(catalogue, output))
    run = run_scoring(catalogue, output, "--resume", "--summary", "--workers", "1")
    assert run.returncode == 0, run.stderr
    assert 2 <= json.loads(run.stdout)["partitions_resumed"] < FILES
    assert contents(output) == scored


def test_bad_row_ends_the_run_unless_told_otherwise(tmp_path: Path) -> None:
    features = made_features(10)
    features[4, 67] = np.nan
    path, output = tmp_path / "bad.parquet", tmp_path / "out"
    pq.write_table(made_table(features), path)
    said = refused(run_scoring(path, output, "--workers", "1"))
    assert (
        f"error: {path}: row 4 of row group 0, both counted from 0, has no number as feature 68; "
        "--bad-rows null or drop goes on without such rows" in said
    )
    run = run_scoring(path, output, "--workers", "1", "--bad-rows", "drop", "--resume", "--summary")
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["rows"], summary["rows_written"], summary["bad_rows"]) == (10, 9, 1)
    assert "row 4 of row group 0" in summary["first_bad_row"]


def test_bar_on_a_terminal_has_rows_a_second_and_time_left(tmp_path: Path, catalogue: Path) -> None:
    terminal, end = pty.openpty()
    command = scoring_command(catalogue, tmp_path / "out", "--only", "genre")
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(command, cwd=ROOT, stderr=end, env=environment):
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # it has been closed at the other end
                break
    os.close(terminal)
    text = re.sub(r"\x1b\[[\d;?]*\w", "", shown.decode())
    assert "━" in text
    assert "100%" in text
    assert re.search(rf"{len(FEATURES):,} rows, [\d,]+/s 0:00:0\d", text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.parquet", "out"], "none.parquet: there is no such file"),
        (["made.parquet", "."], "is there already: name another folder"),
        (["made.parquet", "new/.."], "is there already: name another folder"),
        (["../made", "new/../scored"], "lies within ../made, and would be read with it: name another"),
        (["made.parquet", "out", "--columns", "a"], "there is no column 'a'"),
        (["made.parquet", "out", "--bundle", "none.npz"], "none.npz cannot be read"),
        (["made.parquet", "out", "--bundle", "made.parquet"], "made.parquet is not a complete model bundle"),
        (["made.parquet", "no-such://out"], "no-such://out cannot be written"),
        (["made.parquet", "/proc/out"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    (tmp_path / "made").mkdir()
    monkeypatch.chdir(tmp_path / "made")
    pq.write_table(made_table(made_features(2)), "made.parquet")
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "weather"],
        ["--only", ""],
        ["--workers", "0"],
        ["--bad-rows", "keep"],
        ["--workers", "1", "--scheduler", "x"],
    ],
)
def test_wrong_options_are_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["in", "out", *arguments])
    assert arguments[0] in capsys.readouterr().err


def test_parts_are_in_the_order_of_the_columns() -> None:
    assert parse_arguments(["in", "out", "--only", "origin, genre"]).only == ("genre", "origin")
