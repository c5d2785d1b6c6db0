"""Measures this service beside what else one would serve the same model with (Linux, with wrk; nginx if it is there).

`make bench` writes benchmarks/RESULTS.md, its plots and the flame graph; `make bench-quick` prints the ratios only.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.serving import measure, report
from benchmarks.serving.forms import rows
from benchmarks.serving.measure import Cores, Figures, Fleet
from benchmarks.serving.profiling import ProfileError, profile
from benchmarks.serving.ratios import Ratio, ratios
from benchmarks.serving.servers import Server, ServerError
from benchmarks.serving.stacks import OURS, QUICK, STACKS, Stack

FOLDER = Path(__file__).parents[1]
FLAME_GRAPH = FOLDER / "request_path.svg"


def main() -> None:
    """Measures, and writes or prints what came of it."""
    options = _options()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is needed: install it by the system's package manager")
    cores, figures = Cores(), Figures()
    with tempfile.TemporaryDirectory() as folder:
        stacks = measure.install_all(options.stacks, figures)
        stacks = measure.measure_starts(stacks, options.starts, cores, Path(folder), figures)
        with Fleet(stacks, cores, Path(folder), figures) as fleet:
            measure.measure_load(fleet, stacks, options.rounds, figures, often_only=options.quick)
            shares = {} if options.quick else _profile(cores, Path(folder))
    reached = ratios(figures)
    print(report.ratio_table(reached), report.disturbances(figures), sep="\n\n")
    if not options.quick:
        _write(figures, reached, shares, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="only what ratios need, of what starts soon; writes nothing"
    )
    parser.add_argument("--rounds", type=int, help="12, or 5 if quick")
    parser.add_argument("--starts", type=int, help="how often each is started to measure that: 4, or 2 if quick")
    parser.add_argument("--stacks", type=_stacks, metavar="NAME,…", help=", ".join(stack.name for stack in STACKS))
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 12)
    options.starts = options.starts or (2 if options.quick else 4)
    options.stacks = options.stacks or (QUICK if options.quick else STACKS)
    return options


def _stacks(names: str) -> list[Stack]:
    """The stacks whose names begin so."""
    chosen = [stack for stack in STACKS if any(stack.name.startswith(name) for name in names.split(","))]
    if not chosen:
        raise argparse.ArgumentTypeError(f"no stack is called so: {names}")
    return chosen


def _profile(cores: Cores, folder: Path) -> Mapping[str, float] | str:
    """Of a server of its own: of one that has answered batches, py-spy would count an idle thread too."""
    try:
        with Server(OURS, cores.server, folder) as server:
            server.wait_for_answer(OURS.first, rows(1))
            return profile(server, cores, FLAME_GRAPH)
    except (ProfileError, ServerError, OSError) as error:
        return f"Not measured: {error}"


def _write(figures: Figures, reached: list[Ratio], shares: Mapping[str, float] | str, rounds: int) -> None:
    from benchmarks.serving import charts  # loads TensorFlow by way of training's plots
    from training import plots

    for name, figure in charts.draw_all(figures).items():
        for suffix in ("png", "svg"):
            plots.save(figure, FOLDER / f"{name}.{suffix}")
    text = report.results(figures, reached, shares, rounds)
    (FOLDER / "RESULTS.md").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
