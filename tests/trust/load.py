"""Many clients at once, each on a connection of its own, and an account of every reply."""

import http.client
import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from tests.conftest import Server
from tests.trust.asks import Ask

MOST_TEXTS = 5


@dataclass
class Tally:
    """What has become of the requests.

    `lost` were sent, and no whole reply came; `refused` are connections that were not taken, and no requests. The first
    few of `mistakes` and of `losses` are kept as texts.
    """

    right: int = 0
    wrong: int = 0
    lost: int = 0
    refused: int = 0
    versions: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many requests have ended in one way or another."""
        return self.right + self.wrong + self.lost

    def lose(self, ask: Ask, error: Exception) -> None:
        """Takes down that no whole reply came."""
        self.lost += 1
        if len(self.losses) < MOST_TEXTS:
            self.losses.append(f"{ask.path}: {error!r}")

    def enter(self, status: int, version: str, mistake: str | None) -> None:
        """Takes down a reply."""
        self.versions[version] += 1
        if status != 200:
            self.statuses[status] += 1
        if mistake is None:
            self.right += 1
            return
        self.wrong += 1
        if len(self.mistakes) < MOST_TEXTS:
            self.mistakes.append(mistake)


class Load:
    """Asks in turn, by so many clients, until `total` requests were sent or the block ends.

    http.client is what sends them: it repeats nothing of itself. It speaks TLS if it is told whom to trust.
    """

    def __init__(
        self,
        host: str,
        port: int,
        asks: Sequence[Ask],
        clients: int = 16,
        total: int | None = None,
        *,
        stop_when_refused: bool = False,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.tally = Tally()
        self._address = host, port
        self._trusted = trusted
        self._asks = itertools.cycle(asks)
        self._left = itertools.repeat(None) if total is None else iter([None] * total)
        self._stop_when_refused = stop_when_refused
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"client {number}") for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.wait()

    def wait(self) -> Tally:
        """Waits until all clients have ended: after `total`, or a refusal."""
        for thread in self._threads:
            thread.join()
        return self.tally

    def wait_for(self, sent: int) -> None:
        """Waits until so many requests have been answered or lost, or all clients have ended."""
        while self.tally.sent < sent and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.005)

    def _run(self) -> None:
        connection = self._connection()
        connection.auto_open = 0
        while not self._stop.is_set():
            if not connection.sock and not self._connected(connection):
                if self._stop_when_refused:
                    break
                time.sleep(0.01)
                continue
            with self._lock:
                if next(self._left, self) is self:
                    break
                ask = next(self._asks).again()
            try:
                self._ask(connection, ask)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.tally.lose(ask, error)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._trusted:
            return http.client.HTTPSConnection(*self._address, timeout=60, context=self._trusted)
        return http.client.HTTPConnection(*self._address, timeout=60)

    def _connected(self, connection: http.client.HTTPConnection) -> bool:
        try:
            connection.connect()
        except OSError:
            connection.close()
            with self._lock:
                self.tally.refused += 1
            return False
        return True

    def _ask(self, connection: http.client.HTTPConnection, ask: Ask) -> None:
        connection.request(ask.method, ask.path, ask.body, ask.headers)
        reply = connection.getresponse()
        body = reply.read()
        mistake = ask.mistake(reply.status, reply.headers, body)
        version = str(reply.headers.get("X-Model-Version"))
        with self._lock:
            self.tally.enter(reply.status, version, mistake)


def answers(url: httpx.URL) -> bool:
    """Whether a service is there for a new client, and ready."""
    try:
        return httpx.get(f"{url}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def await_workers(server: Server, count: int) -> None:
    """Waits until so many workers have started: before that one would get all connections, or none would take them."""
    while server.log.read_text().count("Application startup complete") < count or not answers(server.client.base_url):
        assert server.process.poll() is None, server.log.read_text()
        time.sleep(0.01)
