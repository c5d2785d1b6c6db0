"""The results in Markdown: what is asked first, then what it is made of, and what more rows would take."""

import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import version

from benchmarks import environments, machine
from benchmarks.scoring.catalogue import FILES, GROUP_ROWS
from benchmarks.scoring.contenders import RAY, TWO_WORKERS, YARDSTICK, YARDSTICKS, Contender
from benchmarks.scoring.measure import REQUIREMENTS, Figures
from benchmarks.scoring.projection import projection
from benchmarks.scoring.verdicts import against, per_core, verdicts
from scoring.files import BATCH_ROWS
from training.markdown import table, wrapped

LIBRARIES = ("numpy", "pyarrow", "dask", "distributed")
MISSING = "–"


def results(figures: Figures) -> str:
    """Everything."""
    parts = (
        *_introduction(figures),
        *_speed(figures),
        *_ray(figures),
        *_sizes(figures),
        *projection(figures),
        *_conditions(figures),
    )
    return "\n\n".join(wrapped(part) for part in parts) + "\n"


def _introduction(figures: Figures) -> Iterable[str]:
    yield "# Scoring, measured"
    yield f"""Written by `make bench-scoring`. `python -m scoring` reads {figures.all_rows:,} made rows, 68 columns of
        float32 and one of identifiers, from {FILES} files of Parquet in row groups of {GROUP_ROWS:,}, and writes all
        that it can predict, in Parquet."""
    yield """The *yardstick* is one process of one thread: pyarrow reads a batch, the same arithmetic in NumPy predicts,
        pyarrow writes, and there is nothing else: no Dask, no look at the rows, no output that is whole or not there.
        What it does not do, scoring cannot do without; what scoring does beyond it is to cost little."""
    yield "## What is asked"
    yield table(
        ("", "is to be", "measured", "met"),
        (
            (
                verdict.name,
                f"at {'most' if verdict.at_most else 'least'} {verdict.bound:g}",
                f"{verdict.value:.2f}",
                "yes" if verdict.met else "**no**",
            )
            for verdict in verdicts(figures)
        ),
    )
    yield "This is of all rows and of whole commands, from their start to their end."


def _speed(figures: Figures) -> Iterable[str]:
    yield "## Rows a second"
    head = ("", "rows/s", "a core, of the yardstick's", "without the start", "µs of processor a row")
    for rows, often in ((figures.all_rows, "once"), (figures.round_rows, "in rounds")):
        yield f"### {rows:,} rows, {often}"
        yield table(head, (_speed_of(figures, contender, rows) for contender in figures.contenders))
    both = statistics.median(per_core(figures, YARDSTICKS, figures.all_rows, with_start=False))
    ours = statistics.median(against(figures, YARDSTICKS, figures.all_rows, with_start=False))
    yield f"""Where there are several runs, these are medians, and in brackets the least and the greatest; ratios are
        taken within a round. A worker counts as a core; what the process that gives out the tasks takes beside it is in
        the last column, and so is the start. Two yardsticks side by side, which share nothing but the machine, each
        have {both:.2f} of the speed of one alone: that is what two busy cores of this machine give. Two workers have
        {ours:.2f} of the speed of these two, starts aside."""
    yield "The start is what a file of ten rows takes: Python, the libraries, the workers, and their end."
    yield table(
        ("", "start, s"),
        (
            (contender.name, _shown([run.seconds for run in figures.runs[contender, figures.start_rows]], 2))
            for contender in figures.contenders
        ),
    )


def _speed_of(figures: Figures, contender: Contender, rows: int) -> Sequence[str]:
    return (
        contender.name,
        _shown(figures.rates(contender, rows), 0),
        _shown(per_core(figures, contender, rows, with_start=True), 2),
        _shown(per_core(figures, contender, rows, with_start=False), 2),
        _shown([1e6 * run.cpu_seconds / rows for run in figures.runs[contender, rows]], 2),
    )


def _ray(figures: Figures) -> Iterable[str]:
    yield "## Ray Data"
    yield f"""`read_parquet(…).map_batches(…).write_parquet(…)` with two processors, over the same files and by the same
        arithmetic. Of these settings, each tried once on {figures.round_rows:,} rows, the quickest is the one that is
        measured; [ray_data.py](scoring/ray_data.py) says what they are, and what else was tried."""
    yield table(
        ("setting", "seconds", "rows that differ from scoring's"),
        (
            (contender.name, f"{seconds:.1f}", f"{figures.differing[contender]:,}")
            for contender, seconds in figures.trials.items()
        ),
    )
    if figures.absent:
        yield "\n".join(f"- Not measured: {name}: {reason}" for name, reason in figures.absent.items())
    yield f"""Rows are compared by their identifiers: a row differs if any measure does by more than rounding, or
        anything else at all. The genre of every row is the same. Of the yardstick's rows
        {figures.differing[YARDSTICK]:,} differ."""
    for contender in figures.contenders:
        if contender in RAY:
            whole, bare = (
                _shown(against(figures, contender, figures.all_rows, with_start=with_start), 2)
                for with_start in (True, False)
            )
            yield f"""Of {figures.all_rows:,} rows, two workers score {whole} times as many a second as Ray Data does,
                and {bare} times as many with the start of neither counted."""


def _sizes(figures: Figures) -> Iterable[str]:
    yield "## Time and memory against rows"
    yield "![Time and memory against the number of rows](scoring.png)"
    yield f"""{TWO_WORKERS.name}: memory is resident, looked at ten times a second, and what processes share is counted
        in each. It is bounded by the batches of {BATCH_ROWS:,} rows, of which a worker has one at a time."""
    yield table(
        ("rows", "seconds", "all processes, MB", "the largest, MB"),
        (
            (
                f"{rows:,}",
                _shown([run.seconds for run in runs], 1),
                f"{max(run.megabytes for run in runs):,.0f}",
                f"{max(run.largest_megabytes for run in runs):,.0f}",
            )
            for rows in figures.sizes(TWO_WORKERS)
            for runs in [figures.runs[TWO_WORKERS, rows]]
        ),
    )
    others = [contender for contender in figures.contenders if contender != TWO_WORKERS]
    words = "; ".join(
        f"{contender.name} {max(run.megabytes for run in figures.runs[contender, figures.all_rows]):,.0f} MB"
        for contender in others
    )
    yield f"With {figures.all_rows:,} rows the others take: {words}."


def _conditions(figures: Figures) -> Iterable[str]:
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    yield "## How it was measured"
    yield f"""{machine.described()} Python {platform.python_version()}; {libraries}; Ray
        {environments.version(REQUIREMENTS, "ray")}, with the same NumPy and pyarrow."""
    yield f"""Every run is a fresh command, and BLAS has one thread in all. First each has {figures.round_rows:,} rows
        scored without being counted, except to choose a setting of Ray Data; then, in rounds, all start with next to
        nothing, and all score {figures.round_rows:,} rows, in turn; and last, once, all rows. The files are read
        before, so that they are in memory: what is measured is not the disk."""


def _shown(values: Sequence[float], decimals: int) -> str:
    if not values:
        return MISSING
    median, least, greatest = (
        f"{value:,.{decimals}f}" for value in (statistics.median(values), min(values), max(values))
    )
    return median if len(values) == 1 else f"{median} ({least} to {greatest})"
