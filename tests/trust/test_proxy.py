"""The proxy of SECURITY.md, as it stands there, before a service under load."""

import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, Require, RunServer, free_port
from tests.trust.conftest import Record, Sized

(PROXY,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "SECURITY.md").read_text(), re.DOTALL)
PIECE = {"features": EXAMPLE_FEATURES}


@contextmanager
def nginx(folder: Path, service: httpx.URL, *changes: tuple[str, str]) -> Iterator[httpx.Client]:
    """A client of nginx as SECURITY.md has it, but for its addresses, its certificate and further changes."""
    key, certificate, port = folder / "key.pem", folder / "certificate.pem", free_port()
    make_certificate = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext"
    subject = ["subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make_certificate.split(), *subject], check=True, capture_output=True)
    proxy = PROXY
    for old, new in (
        ("127.0.0.1:8000", f"127.0.0.1:{service.port}"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/ssl/certs/music-origin.pem", str(certificate)),
        ("/etc/ssl/private/music-origin.key", str(key)),
        *changes,
    ):
        assert old in proxy
        proxy = proxy.replace(old, new)
    paths = [f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"pid {folder / 'pid'}; error_log {folder / 'errors'}; daemon off; events {{}}\n"
        f"http {{ access_log off; {' '.join(paths)}\n{proxy}}}\n"
    )
    trusted = ssl.create_default_context(cafile=str(certificate))
    with (
        subprocess.Popen(["nginx", "-c", str(configuration), "-p", str(folder)]) as process,
        httpx.Client(base_url=f"https://localhost:{port}", verify=trusted) as client,
    ):
        try:
            while True:
                assert process.poll() is None, (folder / "errors").read_text()
                try:
                    client.get("/")
                    break
                except httpx.ConnectError:
                    time.sleep(0.02)
            yield client
        finally:
            process.terminate()


def test_requests_go_through_the_proxy(
    run_server: RunServer, require: Require, tmp_path: Path, sized: Sized, record: Record
) -> None:
    require(shutil.which("nginx") and shutil.which("openssl"), "nginx or openssl is not installed")
    count = sized(20_000, 500)
    unlimited = ("rate=200r/s", "rate=100000r/s")
    with run_server("--timeout-keep-alive", "75", shipped=True) as server:
        direct = server.client.post("/genre", json=PIECE).content
        with nginx(tmp_path, server.client.base_url, unlimited) as client:
            failed = sum(client.post("/genre", json=PIECE).content != direct for _ in range(count))
            refused = client.post("/genre", json={"features": [1]})
            assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
            assert "server" not in server.client.get("/health/live").headers
    record(f"{count:,} requests by HTTPS through the proxy of SECURITY.md", f"{failed} failed", "none", not failed)


def test_proxy_keeps_one_client_from_taking_all(run_server: RunServer, require: Require, tmp_path: Path) -> None:
    require(shutil.which("nginx") and shutil.which("openssl"), "nginx or openssl is not installed")
    with (
        run_server(shipped=True) as server,
        nginx(tmp_path, server.client.base_url, ("burst=400", "burst=4")) as client,
    ):
        statuses = {client.post("/genre", json=PIECE).status_code for _ in range(500)}
    assert statuses == {200, 503}


def test_service_may_be_under_a_path_of_the_proxy(run_server: RunServer, require: Require, tmp_path: Path) -> None:
    require(shutil.which("nginx") and shutil.which("openssl"), "nginx or openssl is not installed")
    under = [("location / {", "location /music/ {"), ("http://music_origin;", "http://music_origin/;")]
    with (
        run_server("--root-path", "/music", "--timeout-keep-alive", "75", shipped=True) as server,
        nginx(tmp_path, server.client.base_url, *under) as client,
    ):
        assert client.post("/music/genre", json=PIECE).status_code == 200
        assert "/music/openapi.json" in client.get("/music/docs").text
        assert client.post("/music/genre", json={}).json()["type"] == "/music/problems/invalid-input"
