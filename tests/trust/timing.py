"""Whether two kinds of input take different times, as dudect finds out: by Welch's test of many interleaved calls."""

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

BOUND = 4.5  # beyond which dudect calls times different
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

    Which it is, is drawn anew each time, and each time it is made anew in the same way: it is not to matter where in
    memory it lies. What would be collected as garbage meanwhile is let lie.
    """
    draw = random.Random(count)
    samples = []
    gc.disable()
    try:
        for _ in range(count):
            kind = draw.randrange(2)
            wrong = bytearray(right)
            wrong[-kind] ^= 1 << draw.randrange(3)  # it stays a visible character
            given = bytes(wrong)
            started = time.perf_counter_ns()
            call(given)
            samples.append((kind, time.perf_counter_ns() - started))
    finally:
        gc.enable()
    return samples


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
