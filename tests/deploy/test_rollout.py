"""Replicas replaced by deploy/proxy/rollout, under load."""

import socket
from contextlib import ExitStack

import pytest

from models.bundle import ModelBundle
from tests.containers import IMAGE, run
from tests.deploy.proxied import Deployment, is_clean, shown
from tests.trust.asks import Ask
from tests.trust.conftest import Record, Sized


def test_replacing_the_replicas_fails_no_request(
    deployed: Deployment,
    asks: list[Ask],
    other_images: list[str],
    bundle: ModelBundle,
    other_bundle: ModelBundle,
    sized: Sized,
    record: Record,
) -> None:
    times, other = sized(10, 1), other_images[0]
    with deployed.load(asks) as load:
        for number in range(times):
            load.wait_for(load.tally.sent + 100)
            assert deployed.rollout(IMAGE if number % 2 else other) == 0
            assert len(deployed.replicas()) == 2
            told = deployed.described("Config.Env", deployed.replicas()[0])
            assert "MUSIC_ORIGIN_ACCESS_LOG=false" in told
            assert "MUSIC_ORIGIN_REQUEST_TIMEOUT=29" in told
            load.wait_for(load.tally.sent + 100)
    tally = load.tally
    record(
        f"{times} x both replicas replaced by those of other models, under load by HTTPS",
        f"{shown(tally)}, versions {dict(tally.versions)}",
        "all right, by both versions",
        is_clean(tally) and set(tally.versions) == {bundle.version, other_bundle.version},
    )


@pytest.mark.parametrize("why", ["unsound", "missing", "port busy", "beside one not started", "beside one not ready"])
def test_rollout_that_fails_changes_nothing(
    deployed: Deployment, asks: list[Ask], other_images: list[str], why: str, record: Record
) -> None:
    before = deployed.replicas()
    [free] = {*deployed.ports} - {*before}
    named = ["--name", deployed.container(free)]
    image = {"missing": f"{IMAGE}-missing", "port busy": IMAGE}.get(why, other_images[1])
    with ExitStack() as exits, deployed.load(asks) as load:
        if why == "port busy":
            exits.enter_context(socket.create_server(("127.0.0.1", int(free))))
        elif why == "beside one not started":
            run(deployed.engine, "create", *named, IMAGE)
        elif why == "beside one not ready":
            run(deployed.engine, "run", "--detach", "--stop-signal=KILL", *named, IMAGE, "sleep", "infinity")
        status = deployed.rollout(image, PATIENCE="1")
    record(
        f"rollout that fails ({why}), under load by HTTPS",
        f"status {status}, {shown(load.tally)}",
        "status 1, all right, the replicas still there",
        status == 1 and is_clean(load.tally) and deployed.there() == before == deployed.replicas(),
    )
