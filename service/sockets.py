"""What a socket is told past asyncio, which lends it out by its file descriptor only."""

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Linux drops packets that have fewer hops left than it is told (RFC 5082), and nearly none sets out with this many.
IP_MINTTL, IPV6_MINHOPCOUNT = 21, 73
MOST_HOPS = 255


@contextmanager
def borrowed(descriptor: int) -> Iterator[socket.socket]:
    """The socket of a file descriptor, which somebody else will close."""
    same = socket.socket(fileno=descriptor)
    try:
        yield same
    finally:
        same.detach()


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
        with borrowed(descriptor) as same:
            for level, name in ((socket.IPPROTO_IP, IP_MINTTL), (socket.IPPROTO_IPV6, IPV6_MINHOPCOUNT)):
                with suppress(OSError):  # it is of the other family
                    same.setsockopt(level, name, least_hops_left)


def reset_when_closed(connection: int) -> None:
    """Has the system forget what was written, instead of offering it for minutes to a client that takes nothing."""
    with borrowed(connection) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_readable(connection: int) -> bool:
    """Whether bytes have come that nobody has looked at yet."""
    with borrowed(connection) as same:
        try:
            return bool(same.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False
