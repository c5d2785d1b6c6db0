"""Right under load: every reply is right, belongs to its request, and says which models gave it."""

import time

from models.bundle import ModelBundle
from tests.conftest import RunServer
from tests.trust.asks import make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import Load, await_workers
from tests.trust.process import AS_SHIPPED

CLIENTS = 16


def test_every_reply_is_right_under_load(
    run_server: RunServer, bundle: ModelBundle, sized: Sized, record: Record
) -> None:
    total = sized(100_000, 3_000)
    asks = make_asks([bundle], 400)
    with run_server("--workers", "2", **AS_SHIPPED) as server:
        await_workers(server, 2)
        url = server.client.base_url
        started = time.perf_counter()
        with Load(url.host, url.port or 80, asks, CLIENTS, total) as load:
            tally = load.wait()
        seconds = time.perf_counter() - started
    record(
        f"{total:,} requests of all forms by {CLIENTS} clients at once, two workers",
        f"{tally.right:,} right, {tally.wrong} wrong, {tally.lost} lost, in {seconds:.0f} s"
        + "".join(f"; {text}" for text in [*tally.mistakes, *tally.losses]),
        "all right, none lost",
        tally.right == total == tally.versions[bundle.version] and not tally.refused,
    )
