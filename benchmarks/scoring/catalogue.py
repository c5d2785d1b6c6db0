"""The catalogue that is scored: made rows in ten files of Parquet. `make catalogue` makes one anywhere."""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.progress import track

from models.features import FEATURE_COUNT

FILES = 10
GROUP_ROWS = 131_072
SEED = 20
START_ROWS = 10


def make_files(folder: Path, rows: int) -> list[Path]:
    """Ten files that hold so many rows together, made unless they are there."""
    files = [folder / f"{index}.parquet" for index in range(FILES)]
    for index, file in enumerate(track(files, description="Making the catalogue")):
        first, end = (rows * part // FILES for part in (index, index + 1))
        _make_file(file, end - first, first)
    return files


def make_start_file(folder: Path) -> Path:
    """A file of so few rows that scoring it is starting and stopping."""
    file = folder / "start.parquet"
    _make_file(file, START_ROWS, first=0)
    return file


def _make_file(file: Path, rows: int, first: int) -> None:
    if file.exists() and pq.read_metadata(file).num_rows == rows:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    generator = np.random.default_rng([SEED, first])
    names = [f"feature_{number}" for number in range(1, FEATURE_COUNT + 1)]
    schema = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in names)])
    with pq.ParquetWriter(unfinished, schema, use_dictionary=False) as writer:
        for start in range(first, first + rows, GROUP_ROWS):
            count = min(GROUP_ROWS, first + rows - start)
            features = generator.standard_normal((FEATURE_COUNT, count), np.float32)
            writer.write_table(pa.table([_identifiers(start, count), *features], schema))
    unfinished.rename(file)


def _identifiers(start: int, count: int) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(range(start, start + count)).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise("piece-", digits, "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes a catalogue of Parquet from random numbers.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=10_000_000, help="(default: %(default)s)")
    options = parser.parse_args()
    make_files(options.folder, options.rows)
