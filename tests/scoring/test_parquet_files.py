"""Catalogues in Parquet."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundle import ModelBundle
from scoring import parquet_files
from scoring.errors import ScoringError
from tests.scoring.conftest import Score, assert_predicted, made_features, made_table, written


def test_rows_come_out_in_their_order(tmp_path: Path, score: Score, bundle: ModelBundle) -> None:
    features = made_features(2000)
    table = made_table(features)
    pq.write_table(table, tmp_path / "made.parquet")
    scored, _ = score(tmp_path / "made.parquet")
    assert scored["id"].equals(table["id"])
    assert_predicted(scored, bundle, features)


@pytest.mark.parametrize("partition_rows", [1, 250, 1000, 5000])
@pytest.mark.parametrize("batch_rows", [64, 1000])
def test_partitions_are_runs_of_row_groups(
    tmp_path: Path,
    score: Score,
    bundle: ModelBundle,
    monkeypatch: pytest.MonkeyPatch,
    partition_rows: int,
    batch_rows: int,
) -> None:
    monkeypatch.setattr(parquet_files, "PARTITION_ROWS", partition_rows)
    monkeypatch.setattr(parquet_files, "BATCH_ROWS", batch_rows)
    features = made_features(1000)
    pq.write_table(made_table(features), tmp_path / "made.parquet", row_group_size=100)
    scored, outcomes = score(tmp_path / "made.parquet")
    assert len(outcomes) == {1: 10, 250: 4, 1000: 1, 5000: 1}[partition_rows]
    assert sum(outcome["rows"] for outcome in outcomes) == 1000
    assert scored["id"].equals(made_table(features)["id"])
    assert_predicted(scored, bundle, features)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 68)], ids=str)
def test_lists_are_taken(tmp_path: Path, score: Score, bundle: ModelBundle, kind: pa.DataType) -> None:
    features = made_features(300)
    table = pa.table(
        {"id": range(300), "features": pa.array(features.tolist(), kind), "tags": [["a", "b"], None, []] * 100}
    )
    pq.write_table(table, tmp_path / "lists.parquet", row_group_size=70)
    scored, _ = score(tmp_path / "lists.parquet")
    assert scored.select(["id", "tags"]).equals(table.select(["id", "tags"]))
    assert "features" not in scored.schema.names
    assert_predicted(scored, bundle, features)


def test_other_columns_are_untouched(tmp_path: Path, score: Score) -> None:
    features = made_features(3)
    kinds = {
        "at": pa.array([1, None, 3], pa.timestamp("us", "UTC")),
        "price": pa.array(["1.10", None, "3.30"]).cast(pa.decimal128(9, 2)),
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
        "nested": pa.array([{"x": [1]}, None, {"x": []}]),
        "bytes": pa.array([b"\x00", None, b"\xff"]),
    }
    table = made_table(features)
    for name, column in kinds.items():
        table = table.append_column(name, column)
    pq.write_table(table, tmp_path / "made.parquet")
    scored, _ = score(tmp_path / "made.parquet")
    assert scored.select([*kinds]).equals(table.select([*kinds]))


def test_bad_row_is_named_by_its_row_group(tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_files, "PARTITION_ROWS", 300)
    features = made_features(1000)
    features[757, 3] = np.nan
    path = tmp_path / "made.parquet"
    pq.write_table(made_table(features), path, row_group_size=100)
    with pytest.raises(ScoringError) as error:
        score(path)
    assert str(error.value).startswith(
        f"{path}: row 57 of row group 7, both counted from 0, has no number as feature 4; --bad-rows"
    )


def test_file_without_rows_gives_one_without_rows(tmp_path: Path, score: Score) -> None:
    pq.write_table(made_table(made_features(0)), tmp_path / "none.parquet")
    scored, (outcome,) = score(tmp_path / "none.parquet")
    assert (len(scored), outcome["rows"]) == (0, 0)
    assert scored.schema.names[0] == "id"


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda _: b"", lambda _: b"PAR1 no such PAR1"])
def test_damaged_file_is_an_error(tmp_path: Path, score: Score, damage: object) -> None:
    path = tmp_path / "made.parquet"
    pq.write_table(made_table(made_features(10)), path)
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ScoringError, match=r"made\.parquet cannot be read"):
        score(path)


def test_columns_that_pandas_noted_are_taken_as_they_are(tmp_path: Path, score: Score) -> None:
    table = made_table(made_features(3)).replace_schema_metadata({"pandas": "{}"})
    pq.write_table(table, tmp_path / "made.parquet")
    scored, _ = score(tmp_path / "made.parquet")
    assert b"pandas" not in (scored.schema.metadata or {})
    assert (tmp_path / "scored" / "part-000000.parquet").exists()
    assert len(written(tmp_path / "scored")) == 3
