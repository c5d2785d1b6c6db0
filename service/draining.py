"""How the service stops: not ready from SIGTERM on, and gone once all that has come is answered."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn

from service.admission import LAST_SECONDS
from service.logs import LOG
from service.sockets import take_all, take_no_connection

ACCEPTING_SECONDS = 0.05  # for the connections that wait already to be taken
ENDING_SECONDS = 1.0  # for the process to end after that, which takes a third of it on a machine with time


class Drain:
    """The end of the service, from the first signal on."""

    def __init__(self, seconds: float, before_last: Callable[[], None]) -> None:
        """Takes the seconds from SIGTERM to the end, and what to do before the last of them."""
        self.begun = False
        self._seconds = seconds
        self._before_last = before_last
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def at_sigterm(self) -> Iterator[None]:
        """Drains the uvicorn server around it at SIGTERM; another signal ends it at once, and so does SIGINT."""
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if not isinstance(server, uvicorn.Server) or threading.current_thread() is not threading.main_thread():
            yield  # nobody is to be told, or it is not ours to listen
            return
        loop = asyncio.get_running_loop()

        def begin() -> None:
            self._task = loop.create_task(self._drain(server))

        def stop(number: int, frame: FrameType | None) -> None:
            if self.begun or number == signal.SIGINT:
                server.handle_exit(number, frame)
                server.force_exit = True
            else:
                self.begun = True
                loop.call_soon_threadsafe(begin)

        handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def _drain(self, server: uvicorn.Server) -> None:
        LOG.info("Told to stop: not ready from now on, and gone in %g seconds.", self._seconds)
        await asyncio.sleep(max(0.0, self._seconds - LAST_SECONDS - ENDING_SECONDS))
        try:
            await self._finish(server)
        finally:
            server.should_exit = True

    async def _finish(self, server: uvicorn.Server) -> None:
        """Takes no more connections, and waits a moment for what has begun."""
        self._before_last()
        if parent_process() is None:  # workers share their sockets, and the others may go on
            for listener in [listener for each in server.servers for listener in each.sockets]:
                take_no_connection(listener.fileno())
        await asyncio.sleep(ACCEPTING_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while awaited := [*filter(_is_awaited, server.server_state.connections)]:
                    for connection in awaited:
                        take_all(connection.transport.get_extra_info("socket").fileno())
                    await asyncio.sleep(0.01)


def _is_awaited(connection: Any) -> bool:
    """Whether a request or a reply is still to come on the connection."""
    cycle = connection.cycle
    awaited: bool = getattr(connection, "awaited", cycle is None or not cycle.response_complete)
    return awaited
