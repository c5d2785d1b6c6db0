"""Whether the service should be asked: not once it has been told to stop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Readiness:
    """Ready until SIGTERM comes, after which the service goes on answering for a while."""

    def __init__(self) -> None:
        self.draining = False

    @contextmanager
    def until_sigterm(self, drain_seconds: float, before_stop: Callable[[], None]) -> Iterator[None]:
        """Calls `before_stop` and hands SIGTERM on to the server after `drain_seconds`; a second one at once."""
        stop = signal.getsignal(signal.SIGTERM)
        if not callable(stop) or threading.current_thread() is not threading.main_thread():
            yield  # nobody is to be told, or it is not ours to listen
            return
        loop = asyncio.get_running_loop()

        def drain(number: int, frame: FrameType | None) -> None:
            self.draining = True
            signal.signal(signal.SIGTERM, stop)
            loop.call_soon_threadsafe(loop.call_later, drain_seconds, hand_on, number, frame)

        def hand_on(number: int, frame: FrameType | None) -> None:
            before_stop()
            stop(number, frame)

        signal.signal(signal.SIGTERM, drain)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, stop)
