"""What scoring is measured against: one thread that reads, predicts and writes, file by file, and does nothing else.

`python -m benchmarks.scoring.yardstick OUT IN...` writes the folder OUT. Its arithmetic, its batches and its encoding
are those of scoring. There is no look at what is read, no second process, and no output that is whole or not there.
"""

import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.archive import DEFAULT_BUNDLE, load_bundle
from models.bundle import ModelBundle
from scoring.columns import matrix
from scoring.files import BATCH_ROWS
from scoring.predictions import MEASURE, PARTS, predict, schema


def main(output: Path, files: list[Path]) -> None:
    """Scores the files."""
    pa.set_cpu_count(1)
    output.mkdir(parents=True)
    for file in files:
        score(file, output / file.name)


def score(source: Path, target: Path) -> None:
    """Scores one file."""
    columns = pa.schema([("id", pa.string()), *schema(bundle(), PARTS)])
    repeating = [field.name for field in columns if field.type != MEASURE]
    with pq.ParquetFile(source) as parquet, pq.ParquetWriter(target, columns, use_dictionary=repeating) as writer:
        for batch in parquet.iter_batches(BATCH_ROWS, use_threads=False):
            writer.write_table(scored(batch))


def scored(batch: pa.RecordBatch | pa.Table) -> pa.Table:
    """What is predicted of a batch, beside the identifiers."""
    identifier, *features = batch.schema.names
    values, _ = matrix(batch, tuple(features))
    return pa.table({identifier: batch[identifier], **predict(bundle(), values, PARTS)})


@cache
def bundle() -> ModelBundle:
    """The models, loaded once in each process."""
    return load_bundle(DEFAULT_BUNDLE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(file) for file in sys.argv[2:]])
