"""How the service stops: not ready from SIGTERM on, and gone once all that has come is answered."""

import asyncio
import ctypes
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from types import FrameType
from typing import Any

import uvicorn

LAST_SECONDS = 1.0  # for what has begun to become whole, once no connection is taken any more
ENDING_SECONDS = 1.0  # for the process to end after that, which takes a third of it on a machine with time

# In Linux's language for filters of packets: drop what would begin a connection, which has SYN among TCP's flags.
SO_ATTACH_FILTER = 26
FLAGS, SYN = 13, 0x02
NO_NEW_CONNECTION = (
    (0x30, 0, 0, FLAGS),  # load this byte
    (0x45, 0, 1, SYN),  # go on to the next line if it has this bit, or else to the one after
    (0x06, 0, 0, 0),  # drop all
    (0x06, 0, 0, 0xFFFFFFFF),  # drop nothing
)


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
            take_no_connection([listener.fileno() for each in server.servers for listener in each.sockets])
        await asyncio.sleep(LAST_SECONDS / 20)  # in which those that wait already are taken
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while any(map(_is_awaited, server.server_state.connections)):
                    await asyncio.sleep(0.01)
        server.should_exit = True


def take_no_connection(listeners: Iterable[int]) -> None:
    """Lets no further connection begin with these sockets, and leaves alone those that have.

    Closing a socket would reset connections that it has and that nobody has accepted yet, with the requests in them.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in NO_NEW_CONNECTION))
    pointer = struct.pack("HP", len(NO_NEW_CONNECTION), ctypes.addressof(program))
    for listener in listeners:
        with socket.socket(fileno=os.dup(listener)) as copy, suppress(OSError):
            copy.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def _is_awaited(connection: Any) -> bool:
    """Whether a request or a reply is still to come on the connection."""
    cycle = connection.cycle
    awaited: bool = getattr(connection, "awaited", cycle is None or not cycle.response_complete)
    return awaited
