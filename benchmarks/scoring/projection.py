"""What more rows would take and cost, reckoned from what was measured."""

from collections.abc import Iterable

from benchmarks.scoring.contenders import TWO_WORKERS
from benchmarks.scoring.measure import Figures
from scoring.files import PARTITION_ROWS
from training.markdown import table

LARGER = {"100 million rows": 10**8, "10 billion rows": 10**10}
CLUSTER_CORES = 100
DOLLARS_PER_CORE_HOUR = 0.05
LINK_MEGABYTES = 1250  # a second, which is 10 Gbit


def projection(figures: Figures) -> Iterable[str]:
    """A section in Markdown, in parts."""
    run = figures.runs[TWO_WORKERS, figures.all_rows][-1]
    seconds = TWO_WORKERS.cores * (run.seconds - figures.start(TWO_WORKERS)) / figures.all_rows  # of a core, a row
    read, written = run.read / figures.all_rows, run.written / figures.all_rows
    tasks_per_second = CLUSTER_CORES / seconds / PARTITION_ROWS
    yield "## A hundred million rows, and ten billion"
    yield f"""From two workers on {figures.all_rows:,} rows: {1e6 * seconds:.2f} µs of a core, {read:.0f} bytes read and
        {written:.0f} written a row, and {figures.start(TWO_WORKERS):.1f} s to start. An hour of a core is taken to cost
        ${DOLLARS_PER_CORE_HOUR:.2f}, and a core to be a CPU of this machine."""
    yield table(
        ("", *LARGER),
        (
            ("read, TB", *(f"{read * rows / 1e12:.3g}" for rows in LARGER.values())),
            ("written, TB", *(f"{written * rows / 1e12:.2g}" for rows in LARGER.values())),
            ("hours of a core", *(f"{_core_hours(seconds, rows):,.3g}" for rows in LARGER.values())),
            ("this machine, two workers", *(_duration(seconds * rows / 2) for rows in LARGER.values())),
            (f"{CLUSTER_CORES} cores", *(_duration(seconds * rows / CLUSTER_CORES) for rows in LARGER.values())),
            ("cost", *(f"${DOLLARS_PER_CORE_HOUR * _core_hours(seconds, rows):,.2f}" for rows in LARGER.values())),
            ("tasks", *(f"{rows / PARTITION_ROWS:,.0f}" for rows in LARGER.values())),
        ),
    )
    most = max(each.largest_megabytes for each in figures.runs[TWO_WORKERS, figures.all_rows])
    yield f"""That rows are independent of each other makes time grow as rows do; that a hundred cores are fifty times
        as quick as two is reckoned, not measured. A worker takes {most:,.0f} MB however many rows there are."""
    yield f"""What bounds it first is the store. A core reads {read / seconds / 1e6:.0f} MB and writes
        {written / seconds / 1e6:.1f} MB a second, so {CLUSTER_CORES} cores read
        {CLUSTER_CORES * read / seconds / 1e9:.1f} GB a second, and a link of 10 Gbit/s, which is
        {LINK_MEGABYTES:,} MB, keeps {LINK_MEGABYTES * 1e6 * seconds / read:.0f} cores busy. These files come from this
        machine's memory; a store that gives every core less makes it wait, and a core that waits costs as much as one
        that works. Dask's scheduler is farther from its bound: {CLUSTER_CORES} cores take {tasks_per_second:.0f} tasks
        a second, of {PARTITION_ROWS:,} rows each, and its documentation tells of a millisecond a task at most."""


def _core_hours(seconds: float, rows: int) -> float:
    return seconds * rows / 3600


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
