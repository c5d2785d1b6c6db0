"""Catalogues in .npy."""

from pathlib import Path

import numpy as np
import pytest

from models.bundle import ModelBundle
from scoring import npy_files
from scoring.errors import ScoringError
from tests.scoring.conftest import Score, assert_predicted, made_features


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("partition_rows", [70, 1000])
def test_rows_come_out_in_their_order(
    tmp_path: Path,
    score: Score,
    bundle: ModelBundle,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    kind: str,
    partition_rows: int,
) -> None:
    monkeypatch.setattr(npy_files, "PARTITION_ROWS", partition_rows)
    monkeypatch.setattr(npy_files, "BATCH_ROWS", 33)
    features = made_features(200).astype(kind)
    np.save(tmp_path / "made.npy", np.asarray(features, order="F" if order == "F" else "C"))
    scored, outcomes = score(tmp_path / "made.npy")
    assert len(outcomes) == (3 if partition_rows == 70 else 1)
    assert_predicted(scored, bundle, features.astype(np.float32))


def test_published_columns_are_taken(tmp_path: Path, score: Score, bundle: ModelBundle) -> None:
    features = made_features(20)
    np.save(tmp_path / "made.npy", np.hstack([features, np.ones((20, 2), np.float32)]))
    scored, _ = score(tmp_path / "made.npy")
    assert scored.schema.names[:2] == ["69", "70"]
    assert_predicted(scored, bundle, features)


def test_whole_numbers_are_taken(tmp_path: Path, score: Score, bundle: ModelBundle) -> None:
    features = made_features(20).round().astype(np.int64)
    np.save(tmp_path / "made.npy", features)
    assert_predicted(score(tmp_path / "made.npy")[0], bundle, features.astype(np.float64))


def test_columns_that_are_named_pass_through(tmp_path: Path, score: Score, bundle: ModelBundle) -> None:
    features = made_features(20)
    np.save(tmp_path / "made.npy", np.hstack([np.arange(20.0)[:, None], features]).astype(np.float32))
    with pytest.raises(ScoringError, match="--columns"):
        score(tmp_path / "made.npy")
    scored, _ = score(tmp_path / "made.npy", columns="2:69")
    assert scored["1"].to_pylist() == [*range(20)]
    assert_predicted(scored, bundle, features)


def test_bad_row_is_named_by_its_number(tmp_path: Path, score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy_files, "PARTITION_ROWS", 30)
    features = made_features(100)
    features[77, 0] = np.inf
    np.save(tmp_path / "made.npy", features)
    with pytest.raises(ScoringError, match="row 77, counted from 0, has inf as feature 1"):
        score(tmp_path / "made.npy")
    assert len(score(tmp_path / "made.npy", output="dropped", bad_rows="drop")[0]) == 99


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}] * 68, dtype=object),
        np.array([[{}] * 68], dtype=object),
        np.zeros(68),
        np.zeros((2, 68), complex),
        np.array([["1"] * 68]),
        np.zeros(3, [("ä", float)]),
        np.zeros((3, 67)),
    ],
    ids=["objects", "matrix of objects", "vector", "complex", "text", "fields", "67"],
)
def test_what_is_no_matrix_of_68_columns_is_an_error(tmp_path: Path, score: Score, array: np.ndarray) -> None:
    np.save(tmp_path / "made.npy", array, allow_pickle=True)
    with pytest.raises(ScoringError):
        score(tmp_path / "made.npy")


def test_file_that_was_cut_is_an_error(tmp_path: Path, score: Score) -> None:
    path = tmp_path / "made.npy"
    np.save(path, made_features(100))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(EOFError, match="not written whole"):  # which a worker says with the name of the file
        score(path)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(ScoringError, match="cannot be read"):
        score(path, output="again")
