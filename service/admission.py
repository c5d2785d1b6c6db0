"""How many predictions are under way, and how long a body is waited for."""

import asyncio
import ctypes
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import NoReturn

from fastapi import Response
from starlette.exceptions import HTTPException

MAX_WAITING = 32  # large bodies, each of which is held meanwhile
TIDY_SECONDS = 1.0  # after the last large body, when its memory is given back
LAST_SECONDS = 1.0  # for what has begun to become whole, once the service is to stop


class Admission:
    """Lets so many predictions be under way at a time, and turns the others away at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way = 0
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting = 0
        self._tidying: asyncio.TimerHandle | None = None
        self._bodies: set[asyncio.Timeout] = set()
        self._stopping = False

    @property
    def full(self) -> bool:
        """Whether there is no place for another prediction."""
        return self._under_way >= self._limit

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds a place. Raises HTTPException (429) if there is none."""
        if self.full:
            _turn_away(f"As many predictions are under way as are taken, {self._limit}: send this again later.")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def run_large(self, answer: Callable[[], Response]) -> Response:
        """Makes a reply in a thread, one after the other: Python would do no two at once, and others are to get in.

        Raises HTTPException (429) if many wait already: each holds its body.
        """
        if self._waiting >= MAX_WAITING:
            _turn_away(f"{MAX_WAITING} large batches wait already, and no more may: send this again later.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, answer)
        finally:
            self._waiting -= 1
            self._tidy_later()

    def _tidy_later(self) -> None:
        if self._tidying:
            self._tidying.cancel()
        loop = asyncio.get_running_loop()
        self._tidying = loop.call_later(TIDY_SECONDS, loop.run_in_executor, self._thread, give_memory_back)

    @asynccontextmanager
    async def in_time(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if a body does not arrive in time, of which there is less once the service is to stop."""
        async with asyncio.timeout(min(seconds, LAST_SECONDS) if self._stopping else seconds) as timeout:
            self._bodies.add(timeout)
            try:
                yield
            finally:
                self._bodies.discard(timeout)

    def stop_waiting(self) -> None:
        """Gives bodies that have not arrived yet a last moment: the service is about to stop."""
        self._stopping = True
        last = asyncio.get_running_loop().time() + LAST_SECONDS
        for timeout in self._bodies:
            timeout.reschedule(min(timeout.when() or last, last))


def give_memory_back() -> None:
    """Returns to the system what was freed. glibc keeps it, and a large body leaves behind many times its size."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other libraries have none
        if trim:
            trim(0)


def _turn_away(detail: str) -> NoReturn:
    raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": "1"})
