"""The results in Markdown: ratios first, then what they are made of."""

import platform
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks import machine
from benchmarks.serving import environments, measure, plan
from benchmarks.serving.load import Window
from benchmarks.serving.measure import Figures
from benchmarks.serving.plan import Case, batch, vector
from benchmarks.serving.ratios import Ratio, quartiles, rounds
from benchmarks.serving.stacks import NGINX, ONE_WORKER, OURS, STACKS, TWO_WORKERS, Stack

MISSING = "–"


def ratio_table(ratios: Iterable[Ratio]) -> str:
    """What is to be reached, and what is."""
    return table(
        ("ratio", "is to be", "measured", "quartiles", "met"),
        (
            (
                ratio.name,
                f"at {'most' if ratio.at_most else 'least'} {ratio.bound:g}",
                f"{ratio.quartiles[1]:.2f}",
                f"{ratio.quartiles[0]:.2f} to {ratio.quartiles[2]:.2f}",
                "yes" if ratio.met else "**no**",
            )
            for ratio in ratios
        ),
    )


def disturbances(figures: Figures) -> str:
    """How much came between, and whether requests failed."""
    windows = [window for by_round in figures.windows.values() for window in by_round.values()]
    return (
        f"Windows: {len(windows)} kept, {figures.kept_though_disturbed} of them disturbed by others; "
        f"{figures.thrown_away} thrown away. Requests that failed (400 and above, or no reply): "
        f"{sum(window.failures for window in windows)}."
    )


def results(figures: Figures, ratios: Sequence[Ratio], profile: Mapping[str, float] | str, number: int) -> str:
    """Everything, after so many rounds."""
    return f"""# Serving, measured

Written by `make bench`. This service beside what else one would serve the same model with: the hidden network (68 → 32
relu → 2 softmax), the same weights, the same bodies, every reply checked against NumPy's probability to within 10⁻⁵.

## Ratios

Each is computed within a round, from windows close together; the median of the rounds is what is to keep the bound.

{ratio_table(ratios)}

## In short

One vector of JSON a request, one worker on one core; medians. *Alone* is over one connection, all else over 16.

{table(SHORT, _short(figures))}

![Requests a second of every stack](serving_rates.png)

{_absent(figures)}
## One vector a request

Medians, and quartiles in brackets. Where a stack answers few requests a second, a window of a second holds too few of
them for the last percentiles to say more than the longest one.

{"".join(_vectors(figures))}
## Batches

Vectors a second over {plan.BATCH_CONNECTIONS} connections, medians and quartiles, and microseconds of processor
time a vector.

{table(("stack and form", *map(_sized, plan.SIZES), "µs a vector, 10,000"), _batches(figures))}

In process, without HTTP and on the same core, the forward pass does {_shown(list(figures.forward.values()), 0)} vectors
a second, 10,000 at a time.

![Time a request against the number of vectors in it](serving_batches.png)

## Two workers

Neither servers nor load are pinned here: they share both cores, so processor time is what compares. Every worker has 16
connections: what comes together is answered together, and the fewer those are, the more each costs.

{table(("", "requests/s", "µs a request", "p99, ms"), _workers(figures))}

## Start and memory

Seconds from the start of the process to its first right reply, and resident memory of all its processes then (what
processes share is counted in each). Installed is the environment without what Python compiles. What bounds this
service is what it is built on: FastAPI + pydantic + NumPy, with nothing else, is that row below.

{table(("stack", "first reply, s", "memory, MB", "installed, MB"), _starts(figures))}

## Where the time goes

py-spy samples the service under load over 16 connections. What C code takes counts for the Python function that called
it. The [flame graph](request_path.svg) has all of it.

{profile if isinstance(profile, str) else table(("", "share of the time"), _shares(profile))}

Most of the door's share is `Door.reply`, and most of that the system call that sends the reply. The log's is the making
of its lines, and a system call for all that was answered within two milliseconds. Decoding is one pass of simdjson over
some 600 bytes, and prediction a handful of calls of NumPy. All of it together takes no longer than uvicorn takes to
answer a constant through ASGI (see above), so what bounds the service is a system call to read, one to write, and a few
dozen calls in Python a request: what is left to gain is in another language, or in saying less.

## How it was measured

{machine.described()} Python {platform.python_version()}.

Each server has one core and wrk the other. All servers are started before, and all but the one that is asked are
stopped (SIGSTOP). In each of {number} rounds they take turns in an order of its own, for a second each ({2} with
{plan.LARGE:,} vectors a request) after a tenth of a second that is not counted; what no ratio is made of takes part in
every {plan.SELDOM}th round. Starts take turns likewise, after one that is not counted. Processor time is the kernel's,
in nanoseconds, of all threads of all processes of a server.

A window is thrown away, and measured again up to {measure.TRIES - 1} times, if all others, the hypervisor among them,
had more than {measure.MAX_OTHERS:g} of a core; where they always had, the least disturbed is kept.

{disturbances(figures)}

{_restarts(figures)}This service runs as `make serve` starts it, with all that is on by default: request ids,
metrics, limits, and a log of every request, to a file. No peer has an access log, and each has the best of the settings
that were tried. Versions:

{table(("stack", "versions"), _versions(figures))}
"""


SHORT = (
    "stack",
    "requests/s",
    "µs a request",
    "p50 alone, ms",
    "p99 alone, ms",
    "first reply, s",
    "memory, MB",
    "MB installed",
)


def _short(figures: Figures) -> Iterable[Sequence[str]]:
    for stack in STACKS:
        case, alone = vector(stack, 16), vector(stack, 1)
        if stack.pinned and case in figures.windows:
            starts = figures.starts.get(stack.name, [])
            yield (
                _bold(stack),
                _median(rounds(figures, case, lambda window: window.rate), 0),
                _median(rounds(figures, case, lambda window: window.cpu), 1),
                _median(rounds(figures, alone, lambda window: window.p50), 3),
                _median(rounds(figures, alone, lambda window: window.p99), 3),
                _median([start.seconds for start in starts], 2),
                _median([start.megabytes for start in starts], 0),
                _installed(stack),
            )


def _vectors(figures: Figures) -> Iterable[str]:
    head = ("stack", "requests/s", "µs a request", "p50, ms", "p99, ms", "p99.9, ms")
    for connections in plan.CONNECTIONS:
        cases = [
            (stack.name if form == "vector" else form, vector(stack, connections, form))
            for stack in STACKS
            if stack.pinned
            for form in stack.pieces
        ]
        rows = ((name, *_window(figures, case)) for name, case in cases if case in figures.windows)
        yield f"### {connections} connection{'s' if connections > 1 else ''}\n\n{table(head, rows)}\n\n"


def _window(figures: Figures, case: Case) -> Iterable[str]:
    measures: Sequence[tuple[Callable[[Window], float], int]] = (
        (lambda window: window.rate, 0),
        (lambda window: window.cpu, 1),
        (lambda window: window.p50, 3),
        (lambda window: window.p99, 3),
        (lambda window: window.p999, 3),
    )
    return (_shown(rounds(figures, case, of), decimals) for of, decimals in measures)


def _batches(figures: Figures) -> Iterable[Sequence[str]]:
    for stack in STACKS:
        for form in stack.batches:
            cases = [batch(stack, form, size) for size in plan.SIZES]
            if any(case in figures.windows for case in cases):
                last = rounds(figures, cases[-1], lambda window: window.cpu / plan.LARGE)
                yield f"{stack.name}, {form}", *(_vectors_per_second(figures, case) for case in cases), _median(last, 2)


def _vectors_per_second(figures: Figures, case: Case) -> str:
    return _shown(rounds(figures, case, lambda window: window.rate * case.size), 0)


def _workers(figures: Figures) -> Iterable[Sequence[str]]:
    for stack, connections in ((ONE_WORKER, 16), (TWO_WORKERS, plan.TWICE)):
        rate, cpu, _, p99, _ = _window(figures, vector(stack, connections))
        yield stack.name, rate, cpu, p99


def _starts(figures: Figures) -> Iterable[Sequence[str]]:
    for name, starts in figures.starts.items():
        stack = next(stack for stack in STACKS if stack.name == name)
        seconds, megabytes = [start.seconds for start in starts], [start.megabytes for start in starts]
        yield name, _shown(seconds, 2), _shown(megabytes, 0), _installed(stack)


def _shares(profile: Mapping[str, float]) -> Iterable[Sequence[str]]:
    return ((name, f"{100 * share:.1f} %") for name, share in profile.items())


def _absent(figures: Figures) -> str:
    if not figures.absent:
        return ""
    lines = "\n".join(f"- {name}: {reason}" for name, reason in figures.absent.items())
    return f"Not measured, and why:\n\n{lines}\n"


def _restarts(figures: Figures) -> str:
    if not figures.restarts:
        return ""
    names = ", ".join(f"{name} ({count})" for name, count in figures.restarts.items())
    return f"Servers that did not go on after they had been stopped, and were started afresh, how often: {names}.\n\n"


def _versions(figures: Figures) -> Iterable[Sequence[str]]:
    seen = set()
    for stack in STACKS:
        if stack.environment not in seen and any(case.stack == stack.name for case in figures.windows):
            seen.add(stack.environment)
            packages = [f"{package} {environments.version(stack, package)}" for package in stack.packages]
            yield stack.name, ", ".join(packages) or _nginx()


def _nginx() -> str:
    run = subprocess.run([NGINX.program, "-v"], capture_output=True, text=True)
    return run.stderr.strip().rpartition("/")[2]


def _installed(stack: Stack) -> str:
    size = environments.megabytes(stack)
    return MISSING if size is None else f"{size:,.0f}"


def _bold(stack: Stack) -> str:
    return f"**{stack.name}**" if stack == OURS else stack.name


def _sized(size: int) -> str:
    return f"{size:,}"


def _median(values: Sequence[float], decimals: int) -> str:
    return f"{quartiles(values)[1]:,.{decimals}f}" if values else MISSING


def _shown(values: Sequence[float], decimals: int) -> str:
    if not values:
        return MISSING
    lower, median, upper = (f"{value:,.{decimals}f}" for value in quartiles(values))
    return f"{median} ({lower} to {upper})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
