"""How the service stops: not ready from SIGTERM on, and gone once all that has come is answered."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn

ACCEPTING_SECONDS = 0.05  # for the connections that wait already to be taken
LAST_SECONDS = 1.0  # for what has begun to become whole, once no connection is taken any more
ENDING_SECONDS = 1.0  # for the process to end after that, which takes a third of it on a machine with time

# Linux drops packets that have fewer hops left than it is told (RFC 5082), and nearly none sets out with this many.
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73
MOST_HOPS = 255


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
        await asyncio.sleep(max(0.0, self._seconds - LAST_SECONDS - ENDING_SECONDS))
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
        server.should_exit = True


def take_no_connection(listener: int) -> None:
    """Lets no further connection begin with this socket, and leaves alone those that have.

    Closing it would reset connections that it has and that nobody has accepted yet, with the requests in them. What was
    just beginning has inherited this: `take_all` undoes it.
    """
    _take_from(listener, MOST_HOPS)


def take_all(connection: int) -> None:
    """Lets this socket hear everybody again."""
    _take_from(connection, 0)


def _take_from(descriptor: int, least_hops_left: int) -> None:
    if sys.platform == "linux":
        with socket.socket(fileno=os.dup(descriptor)) as same:
            for level, name in ((socket.IPPROTO_IP, IP_MINTTL), (socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT)):
                with suppress(OSError):  # it is of the other family
                    same.setsockopt(level, name, least_hops_left)


def _is_awaited(connection: Any) -> bool:
    """Whether a request or a reply is still to come on the connection."""
    cycle = connection.cycle
    awaited: bool = getattr(connection, "awaited", cycle is None or not cycle.response_complete)
    return awaited
