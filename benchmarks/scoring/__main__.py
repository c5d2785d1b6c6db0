"""Measures the scoring of a catalogue beside a loop with nothing else in it and beside Ray Data (Linux, two cores).

`make bench-scoring`, or `python -m benchmarks.scoring`, writes benchmarks/SCORING.md and its plot. With another number
of rows they go to .bench/scoring/.
"""

import argparse
import os
import shutil
from pathlib import Path

from benchmarks.environments import FOLDER
from benchmarks.scoring import report
from benchmarks.scoring.catalogue import make_files, make_start_file
from benchmarks.scoring.measure import Figures, measure

ROWS = 10_000_000
WORK = FOLDER / "scoring"


def main() -> None:
    """Measures, and writes what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the catalogue (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of a fifth of it (default: %(default)s)")
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("two cores are needed: one for each worker")
    output = WORK / "output"
    figures = measure(
        make_start_file(WORK), make_files(WORK / f"{options.rows}-rows", options.rows), output, options.rounds
    )
    shutil.rmtree(output)
    _write(figures, Path(__file__).parents[1] if options.rows == ROWS else WORK)


def _write(figures: Figures, folder: Path) -> None:
    from benchmarks.scoring import charts  # loads TensorFlow by way of training's plots
    from training import plots

    figure = charts.draw(figures)
    for suffix in ("png", "svg"):
        plots.save(figure, folder / f"scoring.{suffix}")
    text = report.results(figures)
    (folder / "SCORING.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
