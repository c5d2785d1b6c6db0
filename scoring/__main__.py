"""The scoring of a catalogue, top to bottom: `python -m scoring IN OUT`."""

import argparse
import json
import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until all is imported there is nothing to say of Ctrl-C

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from models.archive import DEFAULT_BUNDLE, BundleError, parse_bundle

try:
    from dask.system import CPU_COUNT

    from scoring.catalogue import Catalogue, open_catalogue
    from scoring.cluster import connect, score
    from scoring.errors import ScoringError, explained
    from scoring.job import Job
    from scoring.output import Outcome, open_output
    from scoring.predictions import PARTS
    from scoring.progress import Progress
except ModuleNotFoundError as missing:
    sys.exit(f"error: scoring needs {missing.name}, which is not installed: run `make scoring`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs scoring from the command line and returns the exit status."""
    options = parse_arguments(arguments)
    try:
        with interruptible():
            summary = run(options)
    except (BundleError, ScoringError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: --resume goes on where this run of {options.output} was", file=sys.stderr)
        return 130
    if options.summary:
        print(json.dumps(summary, indent=2))
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options, with their defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m scoring",
        description="Predicts genre, side of 20° N and origin of every piece of a catalogue.",
    )
    parser.add_argument(
        "input", metavar="IN", help="Parquet, CSV or .npy: a file, a folder, a glob, or an address that fsspec knows"
    )
    parser.add_argument(
        "output", metavar="OUT", help="folder to write, which must not be there yet; or such an address"
    )
    parser.add_argument(
        "--columns",
        metavar="NAMES",
        help="the 68 feature columns, in order: names parted by commas, or FIRST:LAST of neighbours; or one column of "
        "lists (default: 'features' if there are lists in it, else those of numbers)",
    )
    parser.add_argument(
        "--only", type=_parts, default=PARTS, metavar="PARTS", help=f"some of {','.join(PARTS)} (default: all)"
    )
    parser.add_argument(
        "--bad-rows",
        choices=("error", "null", "drop"),
        default="error",
        help="what becomes of a row that is not 68 finite numbers within bounds: an error that names it, nulls as "
        "predictions, or nothing (default: %(default)s)",
    )
    parser.add_argument(
        "--prefix", default="", help="what the names of predicted columns begin with (default: nothing)"
    )
    parser.add_argument(
        "--format", choices=("parquet", "csv"), default="parquet", help="to write (default: %(default)s)"
    )
    parser.add_argument(
        "--delimiter",
        type=_character,
        help="between the cells of a CSV (default: comma, semicolon or tab, as it looks)",
    )
    parser.add_argument(
        "--header",
        choices=("auto", "present", "absent"),
        default="auto",
        help="whether a CSV begins with a line of names (default: as it looks)",
    )
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, help="the models to score with (default: %(default)s)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster, such as tcp://10.0.0.1:8786")
    where.add_argument("--scheduler-file", metavar="FILE", help="that a Dask scheduler wrote, in place of its address")
    where.add_argument(
        "--workers",
        type=_positive,
        default=CPU_COUNT,
        metavar="N",
        help="processes on this machine (default: one for each core)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run of the same that did not end")
    parser.add_argument("--summary", action="store_true", help="print what was done, as JSON, at the end")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> dict[str, object]:
    """Finds the catalogue, has it scored, gives the output its name, and says what was done."""
    started = time.perf_counter()
    try:
        content = options.bundle.read_bytes()
    except OSError as error:
        raise ScoringError(f"{options.bundle} cannot be read ({error.strerror}): name another with --bundle") from error
    bundle = parse_bundle(content, str(options.bundle))
    catalogue = open_catalogue(options.input, options.columns, options.delimiter, options.header)
    output = open_output(options.output, options.format)
    if output.path.startswith(f"{catalogue.root}/") and output.target == catalogue.source:
        raise ScoringError(f"{options.output} lies within {options.input}, and would be read with it: name another")
    job = Job(catalogue, output, options.only, options.bad_rows, options.prefix)
    job.schema(bundle)  # or else each worker would find out what cannot be
    with explained(f"{options.output} cannot be written"):
        output.begin(job.plan(bundle), resume=options.resume)
    announce(catalogue, options.scheduler or options.scheduler_file)

    resumed = output.whole(options.bad_rows) if options.resume else {}
    outcomes = dict(resumed)
    left = [index for index in range(len(catalogue.partitions)) if index not in outcomes]
    with Progress(sum(catalogue.partitions[index].size for index in left)) as progress, ExitStack() as stack:
        if left:
            workers = min(options.workers, len(left))
            client = stack.enter_context(connect(options.scheduler, options.scheduler_file, workers))
            for index, outcome in score(client, job, content, bundle.fingerprint, left):
                outcomes[index] = outcome
                progress.advance(catalogue.partitions[index].size, outcome["rows"])
    with explained(f"{options.output} cannot be written"):
        output.finish()
    return summarize(options, bundle.version, outcomes, resumed, time.perf_counter() - started) | {
        "first_bad_row": first_bad_row(job, outcomes)
    }


def announce(catalogue: Catalogue, scheduler: str | None) -> None:
    """Says how the input was understood, and who is waited for."""
    files = {partition.file for partition in catalogue.partitions}
    features = f"'{catalogue.features[0]}'"
    if len(catalogue.features) > 1:
        features += f" to '{catalogue.features[-1]}'"
    others = ", ".join(catalogue.others.names) or "nothing"
    print(f"Files: {len(files)}. Features: {features}. Passed through: {others}.", file=sys.stderr)
    if scheduler:
        print(f"Scheduler: {scheduler}.", file=sys.stderr)


def summarize(
    options: argparse.Namespace,
    version: str,
    outcomes: dict[int, Outcome],
    resumed: dict[int, Outcome],
    seconds: float,
) -> dict[str, object]:
    """What was done."""
    done = [outcomes[index] for index in sorted(outcomes)]
    rows, written, bad = (sum(outcome[key] for outcome in done) for key in ("rows", "written", "bad"))
    print(f"Rows: {rows:,}, of which {bad:,} bad, in {seconds:.1f} s. They are in {options.output}.", file=sys.stderr)
    return {
        "output": options.output,
        "model_version": version,
        "rows": rows,
        "rows_written": written,
        "bad_rows": bad,
        "partitions": len(done),
        "partitions_resumed": len(resumed),
        "seconds": round(seconds, 3),
        "rows_per_second": round((rows - sum(outcome["rows"] for outcome in resumed.values())) / seconds, 1),
    }


def first_bad_row(job: Job, outcomes: dict[int, Outcome]) -> str | None:
    """The first row that was bad, in words."""
    for index in sorted(outcomes):
        if found := outcomes[index]["first_bad"]:
            return job.named(job.catalogue.partitions[index], *found)
    return None


@contextmanager
def interruptible() -> Iterator[None]:
    """Has SIGTERM end the run as Ctrl-C does, and both with a word."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parts(text: str) -> tuple[str, ...]:
    asked = {part.strip() for part in text.split(",")}
    if not asked <= {*PARTS}:
        raise argparse.ArgumentTypeError(f"must be some of {', '.join(PARTS)}, parted by commas")
    return tuple(part for part in PARTS if part in asked)


def _character(text: str) -> str:
    if len(text) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError("must be one character, and no quote or line end")
    return text


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
