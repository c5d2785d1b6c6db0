"""Ray Data, with two processors. `python -m benchmarks.scoring.ray_data SETTING OUT IN...` writes the folder OUT.

Every setting uses the batches and the arithmetic of scoring, and loads the models once in each process. Tasks are the
usual way where loading is quick, and Ray puts writing into them too; actors the one where it is slow. The batches of
`blocks` are as large as Ray makes its blocks, by which reading goes into the tasks as well. Half a processor is what
an actor may ask for at most, or none is left for reading. Also tried, and no better: NumPy's arrays instead of
Arrow's tables, blocks of 32 and 64 MiB instead of 128, and the older reader.
"""

import sys

import pyarrow as pa
import ray
import ray.data

from benchmarks.scoring.yardstick import bundle, scored
from scoring.files import BATCH_ROWS


class Actor:
    """Stays in its process, with the models."""

    def __init__(self) -> None:
        bundle()

    def __call__(self, batch: pa.Table) -> pa.Table:
        """What is predicted of a batch."""
        return scored(batch)


def main(setting: str, output: str, files: list[str]) -> None:
    """Scores the files."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.read_parquet(files)
    if setting == "tasks":
        rows = rows.map_batches(scored, batch_format="pyarrow", batch_size=BATCH_ROWS)
    elif setting == "blocks":
        rows = rows.map_batches(scored, batch_format="pyarrow", batch_size=None)
    else:
        pool = ray.data.ActorPoolStrategy(size=2)
        rows = rows.map_batches(Actor, batch_format="pyarrow", batch_size=BATCH_ROWS, compute=pool, num_cpus=0.5)
    rows.write_parquet(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
