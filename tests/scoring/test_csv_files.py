"""Catalogues in CSV."""

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.bundle import ModelBundle
from models.features import Floats
from scoring import csv_files
from scoring.errors import ScoringError
from tests.scoring.conftest import Score, assert_predicted, made_features
from training.dataset import Dataset

HEADER = ",".join(["id", *(f"feature_{number}" for number in range(1, 69))])


def lines_of(features: Floats, ids: bool = True) -> list[str]:
    return [
        ",".join([*([f"{row:05}"] if ids else []), *map(str, values)]) for row, values in enumerate(features.tolist())
    ]


@pytest.fixture
def features() -> Floats:
    return made_features(300)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and partitions that end in the middle of a line."""
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 30_000)
    monkeypatch.setattr(csv_files, "PARTITION_BYTES", 70_000)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", [True, False], ids=["end at the end", "no end at the end"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "byte order mark"])
def test_lines_come_out_in_their_order(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, end: str, last: bool, mark: str
) -> None:
    text = mark + end.join([HEADER, *lines_of(features)]) + end * last
    (tmp_path / "made.csv").write_bytes(text.encode())
    scored, outcomes = score(tmp_path / "made.csv")
    assert len(outcomes) > 2
    assert scored["id"].to_pylist() == [f"{row:05}" for row in range(300)]
    assert_predicted(scored, bundle, features)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_compressed_lines_are_taken(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"made.csv{suffix}").write_bytes(compress("\n".join([HEADER, *lines_of(features)]).encode()))
    scored, outcomes = score(tmp_path / f"made.csv{suffix}")
    assert len(outcomes) == 1
    assert_predicted(scored, bundle, features)


def test_archive_of_several_parts_is_read_as_one(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats
) -> None:
    """Of which the first may end within the header."""
    text = "\n".join([HEADER, *lines_of(features)]).encode()
    (tmp_path / "made.csv.gz").write_bytes(gzip.compress(text[:20]) + gzip.compress(text[20:]))
    scored, _ = score(tmp_path / "made.csv.gz")
    assert_predicted(scored, bundle, features)


@pytest.mark.parametrize("header", ["auto", "absent"])
@pytest.mark.parametrize("ids", [True, False])
def test_lines_without_a_header_are_numbered(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, header: str, ids: bool
) -> None:
    (tmp_path / "made.csv").write_text("\n".join(lines_of(features, ids)))
    columns = "2:69" if ids else None
    scored, _ = score(tmp_path / "made.csv", header=header, columns=columns)
    assert_predicted(scored, bundle, features)
    assert scored.schema.names[0] == ("1" if ids else "genre")


@pytest.mark.parametrize(
    "names",
    [HEADER, ",".join(["id", *map(str, range(68))]), ",".join(["", *map(str, range(1, 69))])],
    ids=["words", "numbers", "numbers of which the first has none"],
)
def test_names_may_be_numbers(tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, names: str) -> None:
    (tmp_path / "made.csv").write_text("\n".join([names, *(f"x{line}" for line in lines_of(features))]))
    scored, _ = score(tmp_path / "made.csv")
    assert scored.column(0)[0].as_py() == "x00000"
    assert_predicted(scored, bundle, features)


def test_header_that_cannot_be_told_is_asked_for(tmp_path: Path, score: Score, features: Floats) -> None:
    names = HEADER.replace("feature_1,", "1,").replace("feature_2,", "9,")
    (tmp_path / "made.csv").write_text("\n".join([names, *lines_of(features)]))
    with pytest.raises(ScoringError, match="--header"):
        score(tmp_path / "made.csv")
    assert len(score(tmp_path / "made.csv", header="present", columns="1:feature_68")[0]) == 300


@pytest.mark.parametrize(
    ("name", "delimiter"), [("made.csv", "|"), ("made.csv", None), ("made.tsv", None)], ids=["told", "semicolon", "tab"]
)
def test_cells_may_be_parted_otherwise(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, name: str, delimiter: str | None
) -> None:
    text = "\n".join([HEADER, *lines_of(features)])
    (tmp_path / name).write_text(text.replace(",", delimiter or {"made.csv": ";", "made.tsv": "\t"}[name]))
    assert_predicted(score(tmp_path / name, delimiter=delimiter)[0], bundle, features)


def test_published_data_go_in_as_they_are(
    score: Score, bundle: ModelBundle, dataset: Dataset, data_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "published.txt").symlink_to(data_file)
    scored, _ = score(tmp_path / "published.txt")
    assert_predicted(scored, bundle, dataset.features.astype(np.float64))
    assert [float(cell) for cell in scored["69"].to_pylist()] == dataset.latitude.tolist()


def test_text_is_untouched(tmp_path: Path, score: Score, features: Floats) -> None:
    ids = ["007", '"a ""quoted"", name"', "", "NA", "null", "1e5", " spaced ", "αβγ"]
    lines = [",".join([each, *map(str, row)]) for each, row in zip(ids, features.tolist(), strict=False)]
    (tmp_path / "made.csv").write_text("\n".join([HEADER, *lines]))
    scored, _ = score(tmp_path / "made.csv")
    assert scored["id"].to_pylist() == ["007", 'a "quoted", name', "", "NA", "null", "1e5", " spaced ", "αβγ"]
    broken = lines[0].replace(",", ",oops,", 1)
    (tmp_path / "made.csv").write_text("\n".join([HEADER, *lines, broken]))
    again, _ = score(tmp_path / "made.csv", output="again", bad_rows="drop")
    assert again["id"].equals(scored["id"])


GENRE = ("genre",)
BAD_CELLS = [
    ("abc", "has 'abc' as feature 2, which is no number"),
    ("", "has no number as feature 2"),
    ("NaN", "has no number as feature 2"),
    ("1e400", "has inf as feature 2, which must lie between -1000 and 1000"),
    ("2000", "has 2000 as feature 2, which must lie between -1000 and 1000"),
    ("1,1", "has 70 columns, and not 69"),
    ('"1', "has a quote that does not end on its line"),
    ("1_0", "has '1_0' as feature 2, which is no number"),
    ("１", "has '１' as feature 2, which is no number"),
]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("cell", "reason"), BAD_CELLS, ids=[cell or "nothing" for cell, _ in BAD_CELLS])
@pytest.mark.parametrize(("row", "name"), [(0, "made.csv"), (150, "made.csv"), (150, "made.csv.gz"), (299, "made.csv")])
def test_bad_line_is_named_nulled_or_dropped(
    tmp_path: Path, score: Score, bundle: ModelBundle, features: Floats, cell: str, reason: str, row: int, name: str
) -> None:
    lines = lines_of(features)
    cells = lines[row].split(",")
    cells[2] = cell
    lines[row] = ",".join(cells)
    lines.insert(2, "")  # a line without anything is no row
    path = tmp_path / name
    text = "\n".join([HEADER, *lines]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    number = row + 2 + (row >= 2)
    with pytest.raises(ScoringError) as error:
        score(path, parts=GENRE)
    assert str(error.value).startswith(f"{path}: line {number} {reason}; --bad-rows")

    rest = np.delete(features, row, axis=0)
    dropped, outcomes = score(path, output="dropped", bad_rows="drop", parts=GENRE)
    assert_predicted(dropped, bundle, rest, GENRE)
    assert f"{row:05}" not in dropped["id"].to_pylist()
    assert sum(outcome["bad"] for outcome in outcomes) == 1
    nulled, _ = score(path, output="nulled", bad_rows="null", parts=GENRE)
    assert len(nulled) == 300
    assert nulled["genre"].to_pylist().index(None) == row
    assert nulled["id"][row].as_py() == (None if "columns" in reason or "quote" in reason else f"{row:05}")
    keep = np.arange(300) != row
    assert_predicted(nulled.filter(keep), bundle, rest, GENRE)


@pytest.mark.parametrize("block", [2_000, 5_000, 5_100, 10**6])
def test_line_end_within_quotes_is_a_bad_row_wherever_blocks_end(
    tmp_path: Path, score: Score, features: Floats, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", block)
    lines = [
        f'"first\nsecond",{line.partition(",")[2]}' if row % 7 == 0 else line
        for row, line in enumerate(lines_of(features[:50]))
    ]
    (tmp_path / "made.csv").write_text("\n".join([HEADER, *lines]))
    with pytest.raises(ScoringError, match="line 2 has a quote that does not end on its line"):
        score(tmp_path / "made.csv")
    scored, (outcome,) = score(tmp_path / "made.csv", output="dropped", bad_rows="drop", parts=GENRE)
    assert scored["id"].to_pylist() == [f"{row:05}" for row in range(50) if row % 7]
    assert outcome["bad"] == 16  # both halves of eight


def test_lines_that_end_as_on_old_machines_are_an_error(tmp_path: Path, score: Score, features: Floats) -> None:
    (tmp_path / "made.csv").write_bytes("\r".join([HEADER, *lines_of(features)]).encode())
    with pytest.raises(ScoringError, match=r"made\.csv cannot be read: new-line character"):
        score(tmp_path / "made.csv")


def test_file_that_is_not_compressed_is_an_error(tmp_path: Path, score: Score) -> None:
    (tmp_path / "made.csv.gz").write_text(HEADER)
    with pytest.raises(ScoringError, match=r"made\.csv\.gz cannot be read"):
        score(tmp_path / "made.csv.gz")


def test_feature_of_whole_numbers_makes_no_room_for_another_column(
    tmp_path: Path, score: Score, features: Floats
) -> None:
    lines = [line.split(",") for line in lines_of(features)]
    text = [",".join([row[0], "0", *row[2:], "0.5"]) for row in lines]
    (tmp_path / "made.csv").write_text("\n".join([HEADER + ",score", *text]))
    with pytest.raises(ScoringError, match="--columns"):
        score(tmp_path / "made.csv")
    assert len(score(tmp_path / "made.csv", columns="feature_1:feature_68")[0]) == 300


def test_file_without_lines_tells_nothing_of_the_others(tmp_path: Path, score: Score, features: Floats) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "0.csv").write_text(HEADER)
    (tmp_path / "made" / "1.csv").write_text("\n".join([HEADER, *lines_of(features)]))
    assert len(score(tmp_path / "made")[0]) == 300


def test_other_encodings_are_an_error(tmp_path: Path, score: Score, features: Floats) -> None:
    (tmp_path / "made.csv").write_bytes(
        "\n".join([HEADER, *lines_of(features), f"é{lines_of(features)[0]}"]).encode("latin-1")
    )
    with pytest.raises(ScoringError, match="not in UTF-8"):
        score(tmp_path / "made.csv")


def test_single_line_without_an_end_is_a_row(tmp_path: Path, score: Score, features: Floats) -> None:
    (tmp_path / "made.csv").write_text("\n".join([HEADER, *lines_of(features[:1])]))
    assert len(score(tmp_path / "made.csv")[0]) == 1


def test_byte_order_mark_is_no_part_of_the_first_cell(tmp_path: Path, score: Score, features: Floats) -> None:
    text = "\n".join([*lines_of(features[:3], ids=False), "oops"])
    (tmp_path / "made.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    scored, (outcome,) = score(tmp_path / "made.csv", bad_rows="drop")
    assert (len(scored), outcome["first_bad"]) == (3, (3, "has 1 columns, and not 68"))


def test_archive_that_was_cut_is_an_error(tmp_path: Path, score: Score, features: Floats) -> None:
    content = gzip.compress("\n".join([HEADER, *lines_of(features)]).encode())
    (tmp_path / "made.csv.gz").write_bytes(content[:-100])
    with pytest.raises(ScoringError, match=r"made\.csv\.gz cannot be read"):
        score(tmp_path / "made.csv.gz")


@pytest.mark.parametrize("text", [HEADER, HEADER + "\n", HEADER + "\n\n"])
def test_header_alone_gives_no_rows(tmp_path: Path, score: Score, text: str) -> None:
    (tmp_path / "made.csv").write_text(text)
    with pytest.raises(ScoringError, match="there is no row to tell the features by"):
        score(tmp_path / "made.csv", output="guessed")
    scored, _ = score(tmp_path / "made.csv", columns="feature_1:feature_68")
    assert len(scored) == 0
