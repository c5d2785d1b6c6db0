"""The proxy of deploy/proxy/ before two replicas: what it hands on, hides and refuses."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, Require, free_port, problem
from tests.deploy.proxied import SERVICE, Deployment, haproxy, is_clean, samples, shown
from tests.trust.asks import Ask
from tests.trust.conftest import Record, Sized

PIECE = {"features": EXAMPLE_FEATURES}
LARGEST_REPEATED = 30_000


def test_replicas_count_together_what_the_clients_were_answered(
    deployed: Deployment, asks: list[Ask], sized: Sized, record: Record
) -> None:
    before = counted(deployed)
    with deployed.load(asks, sized(50_000, 1_500)) as load:
        tally = load.wait()
    replicas = counted(deployed) - before
    record(
        f"{tally.sent:,} requests by HTTPS to two replicas, by their own metrics",
        f"{shown(tally)}; counted: {' + '.join(f'{count:,}' for count in replicas.values())}",
        "as many as were right, and some of each",
        is_clean(tally) and replicas.total() == tally.right and len(replicas) == 2,
    )


def counted(deployed: Deployment) -> Counter[str]:
    """How many predictions each replica has answered, by its port."""
    return Counter(
        {
            port: sum(
                int(value)
                for _, value in samples(f"127.0.0.1:{port}", "music_origin_requests_total", method="POST", status="200")
            )
            for port in deployed.replicas()
        }
    )


def test_replica_that_is_killed_fails_no_request(
    deployed: Deployment, asks: list[Ask], require: Require, sized: Sized, record: Record
) -> None:
    require(os.geteuid() == 0, "only root may kill a process of a container")
    times = sized(10, 2)
    repeatable = [ask for ask in asks if len(ask.body) < LARGEST_REPEATED]
    [(_, retries_before)] = deployed.told("haproxy_backend_retry_warnings_total", proxy="replicas")
    with deployed.load(repeatable) as load:
        for number in range(times):
            replicas = deployed.replicas()
            load.wait_for(load.tally.sent + 100)
            deployed.kill(replicas[number % 2])
            assert deployed.replicas() == replicas
    [(_, retries)] = deployed.told("haproxy_backend_retry_warnings_total", proxy="replicas")
    record(
        f"{times} x SIGKILL to one of two replicas, under load by HTTPS",
        f"{shown(load.tally)}; {retries - retries_before:g} retries",
        "all right, at least one retry for each",
        is_clean(load.tally) and retries - retries_before >= times,
    )


def test_proxy_hands_on_what_the_service_refuses(deployed: Deployment) -> None:
    with httpx.Client(base_url=f"https://127.0.0.1:{deployed.port}", verify=deployed.trusted) as client:
        assert client.post("/genre", json=PIECE).status_code == 200
        problem(client.get("/metrics"), 404)
        problem(client.get("/%6Detrics"), 404)
        problem(client.post("/genre", json={"features": [1]}), 422)
        large = b" " * (16 * 2**20 + 1)
        problem(client.post("/genre/batch", content=large, headers={"Content-Type": "application/json"}), 413)


def connect(trusted: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """A connection by which nothing has been said."""
    connection = socket.create_connection(("127.0.0.1", port))
    return trusted.wrap_socket(connection, server_hostname="127.0.0.1", do_handshake_on_connect=False)


def is_taken(connection: ssl.SSLSocket) -> bool:
    """Whether the proxy lets a connection speak."""
    try:
        connection.do_handshake()
    except OSError:
        return False
    return True


def test_proxy_keeps_one_client_from_taking_all(deployed: Deployment, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **deployed.environment,
        "BURST": "20",
        "CONNECTIONS": "10",
        "METRICS": f"127.0.0.1:{free_port()}",
    }
    with haproxy(tmp_path, environment, port), ExitStack() as exits:
        trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        url = f"https://127.0.0.1:{port}/genre"
        with httpx.Client(verify=trusted) as client:
            replies = [client.post(url, json=PIECE) for _ in range(100)]
            assert {reply.status_code for reply in replies} == {200, 429}
            problem(next(reply for reply in replies if reply.status_code == 429), 429)
            while client.post(url, json=PIECE).status_code == 429:
                pass  # for what is denied is not counted
        connections = [exits.enter_context(connect(trusted, port)) for _ in range(11)]
        assert sum(map(is_taken, connections)) == 10
        another = httpx.HTTPTransport(verify=trusted, local_address="127.0.0.2")
        with httpx.Client(transport=another) as client:
            assert client.post(url, json=PIECE).status_code == 200


def test_configuration_goes_beside_that_of_debian(deployed: Deployment, require: Require, tmp_path: Path) -> None:
    require(Path("/etc/haproxy/haproxy.cfg").exists(), "HAProxy is not Debian's")
    for name in ("haproxy", "default"):
        (tmp_path / "etc" / name).mkdir(parents=True)
    shutil.copy("/etc/haproxy/haproxy.cfg", tmp_path / "etc" / "haproxy")
    *commands, restart = SERVICE.replace("sudo ", "").replace("/etc/", f"{tmp_path}/etc/").splitlines()
    assert restart == "systemctl restart haproxy"
    subprocess.run(["bash", "-e", "-c", "\n".join(commands)], cwd=ROOT, check=True)
    [configuration] = re.findall(r'CONFIG="(.*)"', (tmp_path / "etc" / "default" / "haproxy").read_text())
    environment = {**deployed.environment, "CERTIFICATE": str(deployed.folder / "proxy.pem")}
    checked = subprocess.run(
        ["haproxy", "-c", "-f", configuration], env=environment, capture_output=True, text=True, check=True
    )
    assert "WARNING" not in checked.stderr
