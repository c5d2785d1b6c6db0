"""Measures 1, 2 and 4 replicas behind the proxy of deploy/proxy/, on two cores (Linux, with HAProxy, wrk and openssl).

`make bench-replicas`, or `python -m benchmarks.replicas`, writes benchmarks/REPLICAS.md: what was measured, and what
follows from that for other numbers of requests.
"""

import argparse
import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from rich.progress import track

from benchmarks.replicas.fleet import CASES, Case, Fleet, Measured
from benchmarks.replicas.report import costs_of, results

FOLDER = Path(__file__).parents[1]


def main() -> None:
    """Measures everything and writes the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replicas", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--output", type=Path, default=FOLDER / "REPLICAS.md")
    options = parser.parse_args()
    if missing := [program for program in ("haproxy", "wrk", "openssl") if shutil.which(program) is None]:
        raise SystemExit(f"{' and '.join(missing)} must be installed by the system's package manager")
    found: dict[Case, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as exits:
        fleet = Fleet(Path(folder), exits)
        for number in track(range(options.rounds + 1), description="rounds"):
            for case in CASES.values():
                measured = fleet.measure(case)
                if number:  # the first is not counted
                    found[case].append(measured)
        costs = costs_of(fleet, found)
    text = results(found, costs, options.rounds)
    options.output.write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main()
