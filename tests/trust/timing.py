"""Whether two kinds of input take different times, as dudect finds out: by Welch's test of many interleaved calls."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

BOUND = 4.5  # beyond which dudect calls times different
AT_A_TIME = 500
KEPT = 90  # the per cent of all times that are kept, the shortest: the others are the machine's


def welch(samples: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Welch's t of times of kind 0 against those of kind 1, cropped, and how much longer in the mean kind 1 takes."""
    kinds, times = np.array(samples, np.float64).T
    kept = times <= np.percentile(times, KEPT)
    first, second = (times[kept & (kinds == kind)] for kind in (0, 1))
    difference = float(second.mean() - first.mean())
    error = np.sqrt(first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second))
    return float(-difference / error), difference


def measure(call: Callable[[bytes], object], right: bytes, count: int) -> list[tuple[int, int]]:
    """The nanoseconds of so many calls, each with what is wrong in its first byte (kind 0) or its last (kind 1).

    Which it is, is drawn anew each time. As dudect does it, inputs are made beforehand, many at a time, so that nothing
    between the calls depends on their kind. What would be collected as garbage meanwhile is let lie.
    """
    draw = random.Random()
    samples: list[tuple[int, int]] = []
    gc.disable()
    try:
        while len(samples) < count:
            kinds = [draw.randrange(2) for _ in range(min(AT_A_TIME, count - len(samples)))]
            inputs = [_wrong(right, -kind, draw) for kind in kinds]
            times = []
            for given in inputs:
                started = time.perf_counter_ns()
                call(given)
                times.append(time.perf_counter_ns() - started)
            samples += zip(kinds, times, strict=True)
    finally:
        gc.enable()
    return samples


def _wrong(right: bytes, place: int, draw: random.Random) -> bytes:
    """The same with another byte there, which is a visible character too."""
    wrong = bytearray(right)
    wrong[place] ^= 1 << draw.randrange(3)
    return bytes(wrong)


def rounds_of(call: Callable[[bytes], object], right: bytes, count: int) -> tuple[float, str]:
    """The least |t| of up to three rounds, the first within the bound being the last, and how it reads.

    A machine may be disturbed in one round; a difference that is there is there in each.
    """
    least, described = float("inf"), ""
    for _ in range(3):
        samples = measure(call, right, count)
        t, difference = welch(samples)
        if abs(t) < least:
            median = statistics.median(nanoseconds for _, nanoseconds in samples)
            least = abs(t)
            described = f"t = {t:.2f}, {difference:+.1f} ns in {median:.0f}, {count:,} calls"
        if least < BOUND:
            break
    return least, described
