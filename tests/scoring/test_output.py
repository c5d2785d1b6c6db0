"""The output folder: whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.errors import ScoringError
from scoring.output import Outcome, Output, open_output

TABLE = pa.table({"x": [1, 2]})
OUTCOME = Outcome(rows=2, written=2, bad=0, first_bad=None, bad_rows="error", bytes=0)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return open_output(str(tmp_path / "scored"), "parquet")


def write(output: Output, index: int, outcome: Outcome = OUTCOME) -> None:
    with output.part(index, TABLE.schema) as write_table:
        write_table(TABLE)
    output.note(index, outcome)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_nothing_is_there_until_all_is(output: Output, tmp_path: Path) -> None:
    output.begin("plan", resume=False)
    for index in (1, 0):
        write(output, index)
        assert not (tmp_path / "scored").exists()
    output.finish()
    assert files(tmp_path) == ["scored/_SUCCESS", "scored/part-000000.parquet", "scored/part-000001.parquet"]


def test_part_that_fails_leaves_nothing(output: Output, tmp_path: Path) -> None:
    output.begin("plan", resume=False)
    with pytest.raises(ValueError, match="schema"), output.part(0, TABLE.schema) as write_table:
        write_table(TABLE.rename_columns(["y"]))
    assert files(tmp_path) == ["scored.partial/plan"]


def test_two_that_write_the_same_part_are_not_mixed(output: Output, tmp_path: Path) -> None:
    """As when a worker goes on behind a link that was cut, and another does its work anew."""
    output.begin("plan", resume=False)
    with output.part(0, TABLE.schema) as first:
        first(TABLE)
        write(output, 0)
        first(TABLE.slice(0, 1))
        assert pq.read_table(tmp_path / "scored.partial" / "parts" / "part-000000.parquet").equals(TABLE)


def test_one_that_is_late_changes_nothing(output: Output, tmp_path: Path) -> None:
    output.begin("plan", resume=False)
    write(output, 0)
    with pytest.raises(OSError, match="No such file"), output.part(0, TABLE.schema):
        output.finish()
    assert files(tmp_path) == ["scored/_SUCCESS", "scored/part-000000.parquet"]


def test_what_is_there_is_not_written_over(output: Output, tmp_path: Path) -> None:
    (tmp_path / "scored").mkdir()
    for resume in (False, True):
        with pytest.raises(ScoringError, match="scored is there already: name another folder"):
            output.begin("plan", resume=resume)
    assert files(tmp_path) == []


def test_what_has_come_meanwhile_is_not_written_into(output: Output, tmp_path: Path) -> None:
    output.begin("plan", resume=False)
    write(output, 0)
    (tmp_path / "scored").mkdir()
    (tmp_path / "scored" / "other").touch()
    with pytest.raises(OSError, match="not empty"):
        output.finish()
    with pytest.raises(ScoringError, match="scored is there already"):
        output.begin("plan", resume=True)


def test_run_that_did_not_end_is_gone_on_with_if_wished(output: Output) -> None:
    output.begin("plan", resume=True)  # which may be the first
    write(output, 1)
    with pytest.raises(ScoringError, match=r"scored\.partial is of a run that did not end: go on with --resume"):
        output.begin("plan", resume=False)
    with pytest.raises(ScoringError, match=r"scored\.partial is of another input, model or choice of columns"):
        output.begin("other plan", resume=True)
    output.begin("plan", resume=True)
    size = output.target.size(f"{output.path}.partial/parts/part-000001.parquet")
    assert output.whole("error") == {1: {**OUTCOME, "bytes": size}}


def test_only_what_is_whole_is_taken_over(output: Output, tmp_path: Path) -> None:
    output.begin("plan", resume=False)
    write(output, 0)
    part, outcome = (tmp_path / "scored.partial" / name for name in ("parts/part-000000.parquet", "outcomes/0.json"))
    content, noted = part.read_bytes(), outcome.read_text()
    assert 0 in output.whole("error")
    part.write_bytes(content[:-1])
    assert 0 not in output.whole("error")
    part.unlink()
    assert 0 not in output.whole("error")
    part.write_bytes(content)
    for cut in (noted[:-1], "", "[]", "{}"):
        outcome.write_text(cut)
        assert 0 not in output.whole("error")
    outcome.unlink()
    assert 0 not in output.whole("error")


def test_other_choice_for_bad_rows_asks_for_those_again_that_have_some(output: Output) -> None:
    output.begin("plan", resume=False)
    write(output, 0, {**OUTCOME, "bad_rows": "null"})
    write(output, 1, {**OUTCOME, "bad_rows": "null", "bad": 1})
    assert 0 in output.whole("drop")
    assert 1 not in output.whole("drop")
    assert 1 in output.whole("null")


def test_whole_bucket_is_an_error() -> None:
    with pytest.raises(ScoringError, match="s3://music is all of a bucket"):
        open_output("s3://music", "parquet")


def test_unknown_address_is_an_error() -> None:
    with pytest.raises(ScoringError, match="no-such://x cannot be written"):
        open_output("no-such://x", "parquet")
