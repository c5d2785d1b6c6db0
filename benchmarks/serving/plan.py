"""What is measured in which round."""

import random
from collections.abc import Collection, Iterator
from typing import NamedTuple

from benchmarks.serving.stacks import (
    FASTAPI_NUMPY,
    FLOOR,
    ONE_WORKER,
    OURS,
    SERVING_SYSTEMS,
    STACKS,
    TWO_WORKERS,
    WITHOUT_LOG,
    Stack,
)

CONNECTIONS = (1, 16, 64)
SIZES = (10, 1_000, 10_000)
CURVE_SIZES = (1, 10, 100, 1_000, 10_000)
CURVE_STACKS = (OURS, FASTAPI_NUMPY)
BATCH_CONNECTIONS = 2
TWICE = 32  # for two workers: as many each as one worker has
SELDOM = 4
LARGE = 10_000


class Case(NamedTuple):
    """One kind of window: who is asked what, with how many vectors a request and over how many connections."""

    stack: str
    form: str
    size: int
    connections: int

    @property
    def seconds(self) -> int:
        """How long a window is: longer where a request takes long, so that it holds more than a few."""
        return 2 if self.size >= LARGE else 1


def vector(stack: Stack, connections: int, form: str = "vector") -> Case:
    """One vector a request."""
    return Case(stack.name, form, 1, connections)


def batch(stack: Stack, form: str, size: int) -> Case:
    """Many vectors a request."""
    return Case(stack.name, form, size, BATCH_CONNECTIONS)


LARGE_NPY = batch(OURS, "npy", LARGE)

# What the ratios are made of is measured in every round, the rest in every fourth.
OFTEN = frozenset(
    [
        *(vector(stack, 16) for stack in (OURS, FASTAPI_NUMPY, FLOOR, ONE_WORKER, *SERVING_SYSTEMS)),
        vector(TWO_WORKERS, TWICE),
        *(vector(stack, 1) for stack in (OURS, FLOOR)),
        *(batch(stack, "JSON", 1_000) for stack in (OURS, FASTAPI_NUMPY)),
        batch(OURS, "npy", 1_000),
        LARGE_NPY,
    ]
)


def cases(stacks: Collection[Stack], number: int, *, often_only: bool = False) -> list[Case]:
    """The cases of a round, in an order of its own; those that ratios pair are close together."""
    everything = [case for stack in STACKS if stack in stacks for case in _cases(stack)]
    random.Random(number).shuffle(everything)
    often = [case for case in everything if case in OFTEN]
    seldom = [case for case in everything if case not in OFTEN]
    return often if often_only or number % SELDOM else often + seldom


def _cases(stack: Stack) -> Iterator[Case]:
    for form in stack.pieces:
        several = (TWICE,) if stack == TWO_WORKERS else (16,)
        for connections in CONNECTIONS if stack.pinned and form == "vector" else several:
            yield vector(stack, connections, form)
    for form in stack.batches:
        for size in CURVE_SIZES if stack in CURVE_STACKS else SIZES:
            yield batch(stack, form, size)


def starts_on_its_own(stack: Stack) -> bool:
    """Whether its start and memory are measured: they are not for the same program under another name."""
    return stack not in (WITHOUT_LOG, ONE_WORKER)
