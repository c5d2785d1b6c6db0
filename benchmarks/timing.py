"""Timing jobs against each other."""

import time
from collections.abc import Callable, Mapping

Timings = dict[str, list[float]]


def interleaved(jobs: Mapping[str, Callable[[], object]], rounds: int) -> Timings:
    """Seconds of every job in every round; each round runs all in turn, after one that is not counted."""
    seconds: Timings = {name: [] for name in jobs}
    for counted in [False] + [True] * rounds:
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if counted:
                seconds[name].append(time.perf_counter() - started)
    return seconds
