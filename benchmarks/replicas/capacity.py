"""What many requests a second take, on paper: computed from what one takes, as fleet.py measures it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.serving.report import table
from training.markdown import wrapped

RATES = (1_000, 100_000, 10_000_000)
BATCH_ROWS = 1_000

# Assumptions.
UTILISATION = 0.6
REQUESTS_A_CONNECTION = 100
CORES_OF_A_PROXY = 4
NIC_GBITS = 25
CPU_HOUR, GB_HOUR = 0.04, 0.005
HOURS_A_MONTH = 730
SCRAPE_SECONDS = 15
SCALE_SECONDS = 15  # in which Kubernetes at most doubles the replicas, or adds four

# A packet of TCP over IPv4 and Ethernet: what it carries at most, and what it takes besides; and a record of TLS 1.3.
SEGMENT, PACKET_BYTES, RECORD_BYTES = 1448, 90, 22

# Linux as it comes: ports for connections to one address, and seconds for which one that has ended is kept.
EPHEMERAL_PORTS, TIME_WAIT = 28_232, 60
CONNTRACK_ENTRIES, CONNTRACK_TIME_WAIT = 262_144, 120


@dataclass(frozen=True)
class Message:
    """The bytes of a request and of its reply, as HTTP has them."""

    request: int
    reply: int


@dataclass(frozen=True)
class Costs:
    """What was measured: microseconds of processor time a request (of replicas, of the proxy), bytes and megabytes.

    `piece` and `batch` are under load over many connections, `alone` is a piece over a single one.
    """

    piece: tuple[float, float]
    alone: tuple[float, float]
    batch: tuple[float, float]
    handshake: float
    replica_megabytes: float
    proxy_megabytes: float
    piece_message: Message
    batch_message: Message
    log_line: float
    series: int


@dataclass(frozen=True)
class Plan:
    """What answers so many requests a second."""

    rate: float
    costs: Costs

    @property
    def replicas(self) -> int:
        """One for each core that is busy to UTILISATION, and one more, which may be replaced or die; two at least."""
        return max(2, math.ceil(self.rate * self.costs.piece[0] / 1e6 / UTILISATION) + 1)

    @property
    def connections(self) -> float:
        """New TLS connections a second."""
        return self.rate / REQUESTS_A_CONNECTION

    @property
    def proxy_cores_busy(self) -> float:
        """Cores that proxies keep busy, handshakes among it."""
        return (self.rate * self.costs.piece[1] + self.connections * self.costs.handshake) / 1e6

    @property
    def proxies(self) -> int:
        """Of CORES_OF_A_PROXY each, and one more; two at least."""
        return max(2, math.ceil(self.proxy_cores_busy / UTILISATION / CORES_OF_A_PROXY) + 1)

    @property
    def proxy_cores(self) -> int:
        """Of all proxies: where a part of one would do, two with a core each."""
        return 2 if self.proxy_cores_busy <= UTILISATION else self.proxies * CORES_OF_A_PROXY

    @property
    def cores(self) -> int:
        """Of replicas and proxies."""
        return self.replicas + self.proxy_cores

    @property
    def gigabytes(self) -> float:
        """Of memory: 400 MB for each replica, as its container is limited, and 1 GB for each core of a proxy."""
        return 0.4 * self.replicas + self.proxy_cores

    @property
    def dollars_a_month(self) -> float:
        """By CPU_HOUR and GB_HOUR."""
        return HOURS_A_MONTH * (CPU_HOUR * self.cores + GB_HOUR * self.gigabytes)

    @property
    def gbits(self) -> tuple[float, float]:
        """In and out, between clients and proxies."""
        message = self.costs.piece_message
        request, reply = (8e-9 * self.rate * on_the_wire(each) for each in (message.request, message.reply))
        return request, reply

    @property
    def packets(self) -> float:
        """A second, in one direction, between clients and proxies."""
        return self.rate * packets(self.costs.piece_message.request)

    @property
    def log_bytes(self) -> float:
        """Of the access log, a second."""
        return self.rate * self.costs.log_line

    @property
    def series(self) -> int:
        """Of all replicas."""
        return self.replicas * self.costs.series

    @property
    def batched(self) -> "Plan":
        """The same pieces, BATCH_ROWS in a request."""
        costs = replace(self.costs, piece=self.costs.batch, piece_message=self.costs.batch_message)
        return Plan(self.rate / BATCH_ROWS, costs)

    @property
    def seconds_to_scale(self) -> int:
        """From two replicas on, at the pace that an autoscaler has by default: see SCALE_SECONDS."""
        steps, replicas = 0, 2
        while replicas < self.replicas:
            steps, replicas = steps + 1, max(2 * replicas, replicas + 4)
        return SCALE_SECONDS * steps


def packets(size: int) -> int:
    """How many packets a message of so many bytes takes."""
    return math.ceil((size + RECORD_BYTES) / SEGMENT)


def on_the_wire(size: int) -> int:
    """The bytes that a message of so many takes by TLS, TCP, IP and Ethernet."""
    return size + RECORD_BYTES + packets(size) * PACKET_BYTES


def on_paper(costs: Costs) -> str:
    """All of it in Markdown."""
    plans = [Plan(rate, costs) for rate in RATES]
    batched = [plan.batched for plan in plans]
    few, many, most = plans
    paragraphs = (
        "## Autoscaling on paper",
        """What 1,000, 100,000 and 10,000,000 pieces a second would take, computed from the figures above. Nothing
        of this was run: it holds as far as what was measured on two cores adds up, which it does as long as
        replicas share nothing, as these do not. It assumes:""",
        _assumptions(costs),
        table(("", *(f"{rate:,}/s" for rate in RATES)), _rows(plans)),
        f"""Replicas = max(2, ⌈rate × {costs.piece[0]:.1f} µs ÷ {UTILISATION:g}⌉ + 1). Proxies likewise, of
        {CORES_OF_A_PROXY} cores each, by {costs.piece[1]:.1f} µs a request and {costs.handshake:,.0f} µs a
        connection; two of one core where that is enough. Cost = {HOURS_A_MONTH} h × (cores × {CPU_HOUR:g} + GB ×
        {GB_HOUR:g}).""",
        "### In batches",
        f"""The same pieces, {BATCH_ROWS:,} to a request as .npy, cost a replica {costs.batch[0] / BATCH_ROWS:.2f}
        µs each and the proxy {costs.batch[1] / BATCH_ROWS:.2f}, which is {_share(costs):.1%} of what they cost one
        by one. Who asks about many pieces is to ask in batches:""",
        table(("", *(f"{rate:,}/s" for rate in RATES)), _batched_rows(plans, batched)),
        "### The autoscaler's numbers",
        f"""A HorizontalPodAutoscaler by processor time: a target of {UTILISATION:.0%} of a request of one core,
        which is all that a replica of one worker can use; at least 2 replicas; at most twice those of the table, so
        that it ends a runaway and not a busy day. Those of {RATES[1]:,} a second stand in
        [deploy/kubernetes](../deploy/README.md#kubernetes). It asks for ⌈replicas × utilisation ÷ target⌉. Kubernetes'
        default pace, twice as many or four more every 15 s, gets from 2 replicas to {many.replicas} in
        {many.seconds_to_scale} s and to {most.replicas:,} in {most.seconds_to_scale} s, and a replica answers a
        third of a second after its start: what comes faster than that needs replicas that wait for it. Scaling down
        by one at a time costs nothing, since a replica that drains loses no request.""",
        "### What would break first",
        f"""**At {RATES[0]:,} requests a second: nothing.** A single core is {few.rate * costs.piece[0] / 1e6:.1%}
        busy. There are two replicas so that one may be replaced or die, and two proxies for the same reason; one of
        each does for those who can wait. What to look at is not the rate but single large batches, which others
        wait for: see the README on rows and bytes.""",
        f"""**At {RATES[1]:,}: the proxy, which is one place where replicas are many.** It takes
        {many.proxy_cores_busy:.1f} cores, of which TLS handshakes take
        {many.connections * costs.handshake / 1e6:.2f} while a connection carries {REQUESTS_A_CONNECTION} requests;
        were it one request each, handshakes alone would take {many.rate * costs.handshake / 1e6:,.0f} cores.
        Connections to the replicas must be reused, as they are here: a new one for each request ends after
        {EPHEMERAL_PORTS / TIME_WAIT:,.0f} a second between one proxy and one replica, where Linux runs out of ports
        ({EPHEMERAL_PORTS:,}, each kept for {TIME_WAIT} s), and a table of {CONNTRACK_ENTRIES:,} tracked connections
        is full at {CONNTRACK_ENTRIES / CONNTRACK_TIME_WAIT:,.0f} new ones a second: mind that at the
        {many.connections:,.0f} a second of the clients, or do not track them. The access log is
        {_bytes(86_400 * many.log_bytes)} a day: `MUSIC_ORIGIN_ACCESS_LOG=false`, and the metrics for what it told.""",
        f"""**At {RATES[2]:,}: the network, and what spreads connections over the proxies.** {most.gbits[0]:.0f}
        Gbit/s in and {most.gbits[1]:.0f} out, by {most.packets / 1e6:.0f} million packets a second each way; and
        the same again between proxies and replicas, so that each way it is
        {math.ceil(sum(most.gbits) / NIC_GBITS / UTILISATION)} network cards of {NIC_GBITS} Gbit/s,
        {UTILISATION:.0%} full. Before the {most.proxies} proxies there must be a tier that passes packets on by a
        consistent hash of their addresses, the same ring on every machine of it, or else each change of the proxies
        breaks connections: ten million clients that come back at once are {1e7 * costs.handshake / 1e6:,.0f}
        core-seconds of handshakes. A proxy is to know a part of the replicas only: {most.proxies} that ask each of
        {most.replicas:,} twice a second whether it is ready are {2 * most.proxies * most.replicas:,} probes a
        second. Prometheus gets {most.series / SCRAPE_SECONDS:,.0f} samples a second, which one still takes; the log
        is {_bytes(most.log_bytes)} a second, which nobody wants. Cheaper than all of it is to have clients ask in
        batches: {batched[-1].cores:,} cores in place of {most.cores:,}.""",
    )
    return "\n\n".join(map(wrapped, paragraphs)) + "\n"


def _assumptions(costs: Costs) -> str:
    request, reply = costs.piece_message.request, costs.piece_message.reply
    listed = (
        f"""- that replicas and proxies are {UTILISATION:.0%} busy, and that a request then costs what it cost at
        full load, {costs.piece[0]:.1f} µs of a replica and {costs.piece[1]:.1f} of a proxy. The less there is to do
        the less is done together: over a single connection it was {costs.alone[0]:.1f} and {costs.alone[1]:.1f},
        with the cores idle most of the time;""",
        f"""- that a client asks {REQUESTS_A_CONNECTION} times before it closes a connection, each by {request:,}
        bytes, and is told {reply:,}; by TLS, TCP and Ethernet {on_the_wire(request):,} and {on_the_wire(reply):,};""",
        f"""- {CPU_HOUR:g} for an hour of a core and {GB_HOUR:g} for one of a GB, in whatever currency: no
        provider's prices, and without network and logs;""",
        f"""- memory of 400 MB for a replica, its limit ({costs.replica_megabytes:.0f} MB is what it took), and 1 GB
        for each core of a proxy ({costs.proxy_megabytes:.0f} MB);""",
        f"""- the access log on, {costs.log_line:.0f} bytes a line, and {costs.series} series of Prometheus for each
        replica.""",
    )
    return "\n".join(wrapped(each) for each in listed)


def _rows(plans: Sequence[Plan]) -> Iterable[Sequence[str]]:
    yield ("replicas, of one core", *(f"{plan.replicas:,}" for plan in plans))
    yield ("proxies, and their cores", *(f"{plan.proxies:,}, {plan.proxy_cores:,}" for plan in plans))
    yield ("cores", *(f"{plan.cores:,}" for plan in plans))
    yield ("memory, GB", *(f"{plan.gigabytes:,.1f}" for plan in plans))
    yield ("cost a month", *(f"{plan.dollars_a_month:,.0f}" for plan in plans))
    yield ("new TLS connections a second", *(f"{plan.connections:,.0f}" for plan in plans))
    yield ("network in and out, Gbit/s", *(f"{plan.gbits[0]:,.2f}, {plan.gbits[1]:,.2f}" for plan in plans))
    yield ("packets a second, each way", *(f"{plan.packets:,.0f}" for plan in plans))
    yield (
        "log a second, and a day",
        *(f"{_bytes(plan.log_bytes)}, {_bytes(86_400 * plan.log_bytes)}" for plan in plans),
    )
    yield ("series of Prometheus", *(f"{plan.series:,}" for plan in plans))
    yield ("autoscaler: least, most", *(f"2, {2 * plan.replicas:,}" for plan in plans))


def _batched_rows(plans: Sequence[Plan], batched: Sequence[Plan]) -> Iterable[Sequence[str]]:
    yield ("requests a second", *(f"{plan.rate:,.0f}" for plan in batched))
    yield ("replicas", *(f"{plan.replicas:,}" for plan in batched))
    yield ("cores, with proxies", *(f"{plan.cores:,}" for plan in batched))
    yield (
        "cores, of those one by one",
        *(f"{one.cores / other.cores:.0%}" for one, other in zip(batched, plans, strict=True)),
    )
    yield ("network in and out, Gbit/s", *(f"{plan.gbits[0]:,.2f}, {plan.gbits[1]:,.2f}" for plan in batched))


def _share(costs: Costs) -> float:
    """What a piece in a batch costs of what it costs alone, by replicas and proxies together."""
    return sum(costs.batch) / BATCH_ROWS / sum(costs.piece)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"
