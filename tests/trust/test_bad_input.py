"""Bad input of every kind: each is told what is wrong, nothing fails, and the service stays in step."""

import random
import threading
from collections import Counter
from collections.abc import Callable

import httpx

from models.bundle import ModelBundle
from tests.conftest import RunServer
from tests.trust.asks import REQUEST_ID, Ask, make_asks
from tests.trust.bad_bodies import BODY_LIMIT, Bad, Draw
from tests.trust.bad_heads import KINDS
from tests.trust.conftest import Record, Sized
from tests.trust.large_bodies import LARGE
from tests.trust.process import AS_SHIPPED, MIB, resident, settled
from tests.trust.wire import BrokenReplyError, Reply, Wire, raw

CLIENTS = 8
SECONDS = 1.0  # for a reply to what may not be whole
PATIENCE = 0.5  # MUSIC_ORIGIN_REQUEST_TIMEOUT


class Attack:
    """Sends so many bad requests from one of several clients, after each a good one, and takes down what is not right.

    `silent` counts those that were not whole and got no reply: the server waits for the rest, as it should.
    """

    def __init__(self, url: httpx.URL, goods: list[Ask], kinds: list[Callable[[Draw], Bad]]) -> None:
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.silent = 0
        self._url = url
        self._goods = goods
        self._kinds = kinds
        self._wire: Wire | None = None

    def run(self, seed: int, count: int) -> None:
        """Sends them."""
        try:
            self._run(random.Random(seed), count)
        finally:
            self._hang_up()

    def _run(self, draw: Draw, count: int) -> None:
        for number in range(count):
            kind = self._kinds[number % len(self._kinds)]
            bad, good = kind(draw), draw.choice(self._goods).again()
            try:
                fault = self._send(bad, good, apart=bad.whole and draw.random() < 0.5)
            except TimeoutError:
                fault = "no reply" if bad.whole else None
                self.silent += not bad.whole
                self._hang_up()
            except (BrokenReplyError, OSError) as error:
                fault = repr(error)
                self._hang_up()
            if fault:
                self.faults.append(f"{kind.__name__}: {bad.sent[:200]!r} … {bad.sent[-20:]!r}: {fault}")

    def _send(self, bad: Bad, good: Ask, *, apart: bool) -> str | None:
        """Sends both, one after the reply to the other or at once; what is wrong with what comes of it."""
        wire = self._wire = self._wire or Wire(self._url)
        wire.wait_at_most(30 if bad.whole else SECONDS)
        wire.send(bad.sent)
        if bad.cut:
            wire.end()
        elif not apart:
            wire.send(raw(good))
        replies: list[Reply] = []
        while reply := self._read(wire, bad, first=not replies):
            if reply.headers.get("x-request-id") == good.headers[REQUEST_ID]:
                if not bad.whole and not replies:
                    self._hang_up()  # the bad one had no end, and the good one was a part of it
                    return None
                if bad.whole and len(replies) != 1:
                    return f"{len(replies)} replies to one request"
                return good.mistake(reply.status, _Titled(reply.headers), reply.body)
            replies.append(reply)
            if apart and len(replies) == 1 and not reply.closes:
                wire.send(raw(good))
        self._hang_up()
        told = bool(replies) and replies[-1].closes
        return None if told or bad.cut else f"the connection was ended without a word, after {len(replies)} replies"

    def _read(self, wire: Wire, bad: Bad, *, first: bool) -> Reply | None:
        """The next reply, if there is one. Raises BrokenReplyError for what is none, or fails, or is no problem."""
        reply = wire.read(to_head=bad.head and first)
        if reply:
            self.statuses[reply.status] += 1
            if fault := reply.fault(of_protocol=b"/v2" in bad.sent):
                raise BrokenReplyError(fault)
        return reply

    def _hang_up(self) -> None:
        if self._wire:
            self._wire.close()
        self._wire = None


class _Titled(dict[str, str]):
    """Headers, asked for by names in whatever letters."""

    def get(self, name: str, default: object = None, /) -> object:  # type: ignore[override]
        return super().get(name.lower(), default)


def attack(url: httpx.URL, goods: list[Ask], seed: int, count: int) -> list[Attack]:
    """Sends so many bad requests, by several clients at once."""
    attacks = [Attack(url, goods, [*KINDS]) for _ in range(CLIENTS)]
    threads = [
        threading.Thread(target=each.run, args=(seed + number, count // CLIENTS)) for number, each in enumerate(attacks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return attacks


def test_bad_input_is_told_so(run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record) -> None:
    count = sized(50_000, 2_000)
    goods = [ask for ask in make_asks([bundle], 100) if len(ask.body) < 5_000]
    limits = {"MUSIC_ORIGIN_MAX_BODY_BYTES": str(BODY_LIMIT), "MUSIC_ORIGIN_REQUEST_TIMEOUT": str(PATIENCE)}
    with run_server(**AS_SHIPPED, **limits) as server:
        url = server.client.base_url
        idle = resident(server)
        attack(url, goods, 10**6, sized(5_000, 1_000))
        before = settled(server)
        attacks = attack(url, goods, 0, count)
        after = settled(server)
        log = server.log.read_text()
    faults = [fault for each in attacks for fault in each.faults]
    statuses = sum((each.statuses for each in attacks), Counter())
    failures = [line for line in log.splitlines() if '"level": "error"' in line or "Traceback" in line]
    record(
        f"{count:,} bad requests of {len(KINDS)} kinds, a good one after each",
        f"{len(faults)} faults, {len(failures)} failures logged, statuses {dict(sorted(statuses.items()))}"
        + "".join(f"; {text[:600]}" for text in [*faults[:2], *failures[:2]]),
        "each error a problem, none 5xx, every good reply right",
        not faults and not failures,
    )
    record(
        "memory after them",
        f"{idle / MIB:.1f} MiB idle, {before / MIB:.1f} warm, then {after / MIB:.1f}",
        "within 5 %",
        after < 1.05 * before,
    )


def test_large_bodies_take_little_memory(run_server: RunServer, sized: Sized, record: Record) -> None:
    rounds = sized(10, 3)
    bodies = {name: make() for name, make in LARGE.items()}
    sizes = []
    with run_server(**AS_SHIPPED) as server:
        idle = resident(server)
        for _ in range(rounds):
            for name, body in bodies.items():
                with Wire(server.client.base_url) as wire:
                    wire.send(body)
                    reply = wire.read()
                assert reply, name
                assert 400 <= reply.status < 500, name
                assert not reply.fault(of_protocol=True), name
            sizes.append(settled(server))
        most = resident(server, "VmHWM")
    record(
        f"{rounds} rounds of {len(bodies)} bad bodies as large as may be",
        f"at most {most / MIB:.0f} MiB; {idle / MIB:.0f} before, and after each round "
        + ", ".join(f"{size / MIB:.0f}" for size in sizes),
        "at most 512 MiB; given back to 200 after each round, and at the end within 10 % of the most until half-way",
        most < 512 * MIB and max(sizes) < 200 * MIB and sizes[-1] < 1.1 * max(sizes[: rounds // 2 + 1]),
    )
