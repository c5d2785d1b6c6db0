"""One partition, scored."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from models.bundle import ModelBundle
from models.features import Floats
from scoring.catalogue import open_catalogue
from scoring.errors import ScoringError
from scoring.job import Job
from scoring.output import open_output
from scoring.predictions import PARTS
from tests.scoring.conftest import Score, assert_predicted, made_features, made_table

BAD = {3: np.nan, 7: np.inf, 8: -2000.0}


@pytest.fixture
def features() -> Floats:
    return made_features(10)


@pytest.fixture
def catalogue(tmp_path: Path, features: Floats) -> Path:
    """A catalogue of which three rows are bad."""
    with_bad = features.copy()
    for row, value in BAD.items():
        with_bad[row, 5] = value
    pq.write_table(made_table(with_bad), tmp_path / "made.parquet")
    return tmp_path / "made.parquet"


def test_manifest_is_in_the_metadata(score: Score, catalogue: Path, tmp_path: Path, bundle: ModelBundle) -> None:
    score(catalogue, bad_rows="null")
    metadata = pq.read_schema(tmp_path / "scored" / "part-000000.parquet").metadata
    assert metadata[b"model_version"].decode() == bundle.version
    manifest = json.loads(metadata[b"music_origin_manifest"])
    assert manifest.pop("fingerprint") == bundle.fingerprint
    assert manifest == json.loads(json.dumps(asdict(bundle.manifest)))


def test_bad_row_is_an_error_by_default(score: Score, catalogue: Path, tmp_path: Path) -> None:
    with pytest.raises(ScoringError) as error:
        score(catalogue)
    assert str(error.value) == (
        f"{catalogue}: row 3 of row group 0, both counted from 0, has no number as feature 6; "
        "--bad-rows null or drop goes on without such rows"
    )
    assert not (tmp_path / "scored").exists()
    assert [path.name for path in (tmp_path / "scored.partial").rglob("*") if path.is_file()] == ["plan"]


def test_bad_rows_are_nulls_if_wished(score: Score, catalogue: Path, bundle: ModelBundle, features: Floats) -> None:
    scored, (outcome,) = score(catalogue, bad_rows="null")
    assert (outcome["rows"], outcome["written"], outcome["bad"]) == (10, 10, 3)
    assert outcome["first_bad"] == (3, "has no number as feature 6")
    bad = np.isin(np.arange(10), [*BAD])
    assert scored["id"].equals(made_table(features)["id"])
    for name in scored.schema.names[1:]:
        assert scored[name].is_null().to_pylist() == bad.tolist()
    assert_predicted(scored.filter(~bad), bundle, features[~bad])


def test_bad_rows_are_dropped_if_wished(score: Score, catalogue: Path, bundle: ModelBundle, features: Floats) -> None:
    scored, (outcome,) = score(catalogue, bad_rows="drop")
    assert (outcome["rows"], outcome["written"], outcome["bad"]) == (10, 7, 3)
    good = np.setdiff1d(np.arange(10), [*BAD])
    assert scored["id"].equals(made_table(features)["id"].take(good))
    assert_predicted(scored, bundle, features[good])


def test_rows_may_all_be_bad(score: Score, tmp_path: Path) -> None:
    pq.write_table(pa.table({"features": pa.array([None, [1.0]], pa.list_(pa.float64()))}), tmp_path / "bad.parquet")
    assert len(score(tmp_path / "bad.parquet", bad_rows="drop")[0]) == 0
    nulls, _ = score(tmp_path / "bad.parquet", "nulls", bad_rows="null")
    assert nulls["genre"].to_pylist() == [None, None]


def test_names_that_come_twice_are_an_error(
    score: Score, tmp_path: Path, features: Floats, bundle: ModelBundle
) -> None:
    table = made_table(features).append_column("latitude", pa.array([1.0] * 10))
    table = table.append_column("longitude", pa.array([2.0] * 10))
    pq.write_table(table, tmp_path / "made.parquet")
    with pytest.raises(ScoringError, match="column 'latitude' too: choose a --prefix"):
        score(tmp_path / "made.parquet")
    scored, _ = score(tmp_path / "made.parquet", "again", prefix="predicted_")
    assert scored["latitude"].to_pylist() == [1.0] * 10
    predicted = [name for name in scored.schema.names if name.startswith("predicted_")]
    names = [name.removeprefix("predicted_") for name in predicted]
    assert_predicted(scored.select(predicted).rename_columns(names), bundle, features)
    assert len(score(tmp_path / "made.parquet", "genres", parts=("genre",))[0]) == 10


def test_csv_is_written(tmp_path: Path, features: Floats, bundle: ModelBundle) -> None:
    pq.write_table(made_table(features), tmp_path / "made.parquet")
    catalogue = open_catalogue(str(tmp_path / "made.parquet"), None, None, "auto")
    job = Job(catalogue, open_output(str(tmp_path / "scored"), "csv"), PARTS, "error", "")
    job.output.begin("", resume=False)
    job.score(bundle, 0)
    job.output.finish()
    scored = pyarrow.csv.read_csv(tmp_path / "scored" / "part-000000.csv")
    assert scored["id"].equals(made_table(features)["id"])
    assert_predicted(scored.cast(job.schema(bundle).remove_metadata()), bundle, features)


def test_csv_has_no_lists(tmp_path: Path, features: Floats, bundle: ModelBundle) -> None:
    table = made_table(features).append_column("tags", pa.array([["a"]] * 10))
    pq.write_table(table, tmp_path / "made.parquet")
    catalogue = open_catalogue(str(tmp_path / "made.parquet"), None, None, "auto")
    with pytest.raises(ScoringError, match="CSV cannot hold column 'tags'"):
        Job(catalogue, open_output(str(tmp_path / "scored"), "csv"), PARTS, "error", "").schema(bundle)


def test_plan_is_another_one_for_another_run(
    tmp_path: Path, features: Floats, bundle: ModelBundle, other_bundle: ModelBundle
) -> None:
    """So that what one run left is not taken over by one of another kind."""
    table = made_table(features).append_column("feature_0", pa.array(features[:, 0]))
    pq.write_table(table, tmp_path / "made.parquet")

    def plan(columns: str, form: str, bundle: ModelBundle, parts: tuple[str, ...], bad_rows: str, prefix: str) -> str:
        catalogue = open_catalogue(str(tmp_path / "made.parquet"), columns, None, "auto")
        return Job(catalogue, open_output(str(tmp_path), form), parts, bad_rows, prefix).plan(bundle)

    usual = ("feature_1:feature_68", "parquet", bundle, PARTS, "error", "")
    others = (
        ("feature_2:feature_0", "parquet", bundle, PARTS, "error", ""),
        ("feature_1:feature_68", "csv", bundle, PARTS, "error", ""),
        ("feature_1:feature_68", "parquet", other_bundle, PARTS, "error", ""),
        ("feature_1:feature_68", "parquet", bundle, ("genre",), "error", ""),
        ("feature_1:feature_68", "parquet", bundle, PARTS, "error", "predicted_"),
    )
    assert len({plan(*each) for each in (usual, usual, *others)}) == 1 + len(others)
    assert plan(*usual[:4], "drop", "") == plan(*usual)  # what has no bad row is the same
    before = plan(*usual)
    pq.write_table(table.slice(0, 9), tmp_path / "made.parquet")
    assert plan(*usual) != before
