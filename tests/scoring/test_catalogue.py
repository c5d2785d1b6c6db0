"""The files of a catalogue."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models.bundle import ModelBundle
from scoring.catalogue import open_catalogue
from scoring.errors import ScoringError
from tests.scoring.conftest import Score, assert_predicted, made_features, made_table


def opened(address: object) -> list[str]:
    catalogue = open_catalogue(str(address), None, None, "auto")
    return [partition.file for partition in catalogue.partitions]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files, in the order b, c, d/a, and some that are none of the catalogue."""
    folder = tmp_path / "catalogue"
    (folder / "d").mkdir(parents=True)
    table = made_table(made_features(30))
    for name, start in (("b.parquet", 0), ("c.pq", 10), ("d/a.parquet", 20)):
        pq.write_table(table.slice(start, 10), folder / name)
    (folder / "_SUCCESS").touch()
    (folder / ".b.parquet.crc").write_bytes(b"?")
    return folder


def test_folder_stands_for_all_files_in_it(folder: Path, score: Score, bundle: ModelBundle) -> None:
    scored, outcomes = score(folder)
    assert len(outcomes) == 3
    assert scored["id"].equals(made_table(made_features(30))["id"])
    assert_predicted(scored, bundle, made_features(30))
    assert opened(f"{folder}/") == opened(f"file://{folder}") == opened(folder)


def test_glob_stands_for_some(folder: Path) -> None:
    assert opened(folder / "?.p*") == [str(folder / "b.parquet"), str(folder / "c.pq")]
    assert opened(folder / "**" / "a.parquet") == [str(folder / "d" / "a.parquet")]


def test_name_may_have_the_marks_of_a_glob(folder: Path) -> None:
    (folder / "b.parquet").rename(folder / "b[1].parquet")
    assert opened(folder / "b[1].parquet") == [str(folder / "b[1].parquet")]


def test_relative_address_is_of_this_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert opened("b.parquet") == [str(folder / "b.parquet")]


@pytest.mark.parametrize("address", ["none.parquet", "none", "*.none", "empty", "no-such://x", "s3:///"])
def test_nothing_there_is_an_error(tmp_path: Path, address: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScoringError, match=r"there is no such file|cannot be read"):
        opened(address if "://" in address else tmp_path / address)


def test_files_of_other_columns_are_an_error(folder: Path) -> None:
    pq.write_table(made_table(made_features(3)).drop_columns("id"), folder / "e.parquet")
    with pytest.raises(ScoringError, match=r"e\.parquet has other columns than .*b\.parquet"):
        opened(folder)


def test_files_of_other_types_are_an_error(folder: Path) -> None:
    pq.write_table(made_table(made_features(3).astype(np.float64)), folder / "e.parquet")
    with pytest.raises(ScoringError, match="has other columns"):
        opened(folder)


def test_files_of_several_forms_are_an_error(folder: Path) -> None:
    np.save(folder / "e.npy", made_features(3))
    with pytest.raises(ScoringError, match=r"end in \.npy, \.parquet, \.pq: they must be of one form"):
        opened(folder)


def test_unknown_form_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "made.json").write_text("[]")
    with pytest.raises(ScoringError, match="is of no form that is read"):
        opened(tmp_path / "made.json")


def test_csv_of_other_names_is_an_error(tmp_path: Path) -> None:
    lines = ",".join(map(str, made_features(1)[0]))
    for name, first in (("a.csv", "x"), ("b.csv.gz", "y")):
        text = ",".join([first, *(f"f{number}" for number in range(67))]) + f"\n{lines}\n"
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    with pytest.raises(ScoringError, match=r"b\.csv\.gz has other columns"):
        opened(tmp_path)


def test_stamp_is_another_one_when_a_file_is(folder: Path) -> None:
    def stamp() -> str:
        return open_catalogue(str(folder), None, None, "auto").stamp

    before = stamp()
    assert stamp() == before
    pq.write_table(made_table(made_features(10, seed=4)), folder / "c.pq")
    assert stamp() != before
