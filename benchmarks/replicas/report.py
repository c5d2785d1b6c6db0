"""What was measured of replicas, and what follows from it, as Markdown."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence

from benchmarks import machine
from benchmarks.replicas import capacity
from benchmarks.replicas.capacity import Costs
from benchmarks.replicas.fleet import (
    ALONE,
    BATCHES,
    CASES,
    COUNTS,
    DIRECT,
    DIRECT_BATCH,
    PIECE,
    PROXIED,
    SECONDS,
    Case,
    Fleet,
    Measured,
)
from benchmarks.serving import report
from benchmarks.serving.ratios import quartiles
from training.markdown import wrapped

NO_LOSS = 0.95  # of the rate of one replica: less is a loss


def costs_of(fleet: Fleet, found: dict[Case, list[Measured]]) -> Costs:
    """What a request costs, by two replicas behind the proxy."""
    piece, alone, batch = (micros(found[case]) for case in (PROXIED[2], ALONE, BATCHES[2]))
    return Costs(
        piece=piece,
        alone=alone,
        batch=batch,
        handshake=median([fleet.handshake() for _ in range(3)]),
        replica_megabytes=max(each.megabytes() for each in fleet.replicas),
        proxy_megabytes=fleet.proxies[2].megabytes(),
        piece_message=fleet.message(PROXIED[2]),
        batch_message=fleet.message(BATCHES[2]),
        log_line=fleet.log_line_bytes(),
        series=fleet.series(),
    )


def micros(measured: Sequence[Measured]) -> tuple[float, float]:
    """Microseconds a request, of the replicas and of the proxy."""
    return median([each.replicas for each in measured]), median([each.proxy for each in measured])


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return quartiles(values)[1]


def results(found: dict[Case, list[Measured]], costs: Costs, number: int) -> str:
    """Everything in Markdown, after so many rounds."""
    failures = sum(each.window.failures for measured in found.values() for each in measured)
    (least, least_proxy), (most, most_proxy) = (micros(found[PROXIED[count]]) for count in (COUNTS[0], COUNTS[-1]))
    ratios = {
        f"{count} replicas, {what}": median(_rate_ratios(found[of[count]], found[of[1]]))
        for what, of in (("one piece", PROXIED), (f"{capacity.BATCH_ROWS:,} rows", BATCHES))
        for count in COUNTS[1:]
    }
    version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
    return f"""# Replicas, measured

Written by `make bench-replicas`. Replicas of this service, one worker each, as they are shipped, behind the proxy of
[deploy/proxy](../deploy/proxy/README.md), which ends TLS; proxy, replicas and wrk all share two cores.

## More replicas on the same cores

One piece of JSON a request (`{PIECE.path}`) over 32 connections for each replica, and batches of
{capacity.BATCH_ROWS:,} rows of .npy over 4 for each, which are kept; medians, and quartiles in brackets. A replica
uses about one core. Of single pieces one replica, the proxy and wrk keep both cores busy, so that more replicas cannot
answer more, and are to answer no less; of batches it takes two.

{report.table(("", "requests/s", "µs a request, replicas", "µs a request, proxy", "p50, ms", "p99, ms"), _table(found))}

Requests a second, each ratio within a round:

{report.table(("", "one piece", f"{capacity.BATCH_ROWS:,} rows"), _ratios(found))}

{verdict(ratios)}

A replica for each core is the rule, and more share what there is: with {COUNTS[-1]} of them on two cores a piece costs
the replicas {most:.1f} µs and the proxy {most_proxy:.1f}, where with one it was {least:.1f} and {least_proxy:.1f}: that
is where a loss goes. How much of it are switches between more processes, and how much caches that they share, was not
measured.

A new TLS connection, by an ECDSA certificate on P-256, costs the proxy {costs.handshake:,.0f} µs. A replica takes
{costs.replica_megabytes:.0f} MB by then, and the proxy {costs.proxy_megabytes:.0f} MB.

{capacity.on_paper(costs)}
## How it was measured

{machine.described()}
HAProxy {version}, wrk and openssl. In each of {number} rounds, after one that is not counted, all take turns for
{SECONDS} seconds each, and a reply is checked before and after. Processor time is the kernel's, in nanoseconds, of all
threads. Requests that failed: {failures}.
"""


def verdict(ratios: Mapping[str, float]) -> str:
    """In words, in which cases more replicas answer no fewer requests than one, by the ratio of their rates."""
    held = [f"{case} ({ratio:.2f})" for case, ratio in ratios.items() if ratio >= NO_LOSS]
    lost = [f"{case} ({ratio:.2f})" for case, ratio in ratios.items() if ratio < NO_LOSS]
    return wrapped(
        f"""**No throughput is to be lost by the count itself**, to within {1 - NO_LOSS:.0%}. Held:
        {"; ".join(held) or "nowhere"}. Not held: {"; ".join(lost) or "nowhere"}."""
    )


def _table(found: dict[Case, list[Measured]]) -> Iterable[Sequence[str]]:
    for name, case in CASES.items():
        measured = found[case]
        yield (
            name,
            _shown([each.window.rate for each in measured], 0),
            _shown([each.replicas for each in measured], 1),
            _shown([each.proxy for each in measured], 1) if case.proxied else report.MISSING,
            _shown([each.window.p50 for each in measured], 2),
            _shown([each.window.p99 for each in measured], 2),
        )


def _ratios(found: dict[Case, list[Measured]]) -> Iterable[Sequence[str]]:
    for count in COUNTS[1:]:
        yield (f"{count} replicas over 1", *(_ratio(found[of[count]], found[of[1]]) for of in (PROXIED, BATCHES)))
    through = ((PROXIED[1], DIRECT), (BATCHES[1], DIRECT_BATCH))
    yield ("1 replica through the proxy over 1 without", *(_ratio(found[one], found[other]) for one, other in through))


def _ratio(measured: Sequence[Measured], other: Sequence[Measured]) -> str:
    return _shown(_rate_ratios(measured, other), 2)


def _rate_ratios(measured: Sequence[Measured], other: Sequence[Measured]) -> list[float]:
    return [one.window.rate / another.window.rate for one, another in zip(measured, other, strict=True)]


def _shown(values: Sequence[float], decimals: int) -> str:
    lower, middle, upper = (f"{value:,.{decimals}f}" for value in quartiles(values))
    return f"{middle} ({lower} to {upper})"
