"""How the page at / is served."""

import httpx
import pytest

from tests.conftest import ROOT, RunServer

FOLDER = ROOT / "service" / "page"
FILES = sorted(path.name for path in FOLDER.iterdir())
MAP = {"land.json", "NOTICE.txt"}


def test_page_is_small_enough_to_be_read_in_one_sitting() -> None:
    assert sum((FOLDER / name).stat().st_size for name in FILES if name not in MAP) < 60_000
    assert (FOLDER / "land.json").stat().st_size < 60_000


def test_page_needs_no_build_and_no_other_host() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "") or name in MAP
        assert max(map(len, text.splitlines())) < 200 or name in MAP


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_and_asked_for_again_only_if_it_changed(client: httpx.Client, name: str) -> None:
    reply = client.get(f"/page/{name}").raise_for_status()
    assert reply.content == (FOLDER / name).read_bytes()
    assert reply.headers["cache-control"] == "no-cache"
    again = client.get(f"/page/{name}", headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


def test_scripts_have_the_type_that_browsers_want(client: httpx.Client) -> None:
    assert client.get("/page/main.js").headers["content-type"].startswith("text/javascript")


def test_policy_lets_the_page_do_nothing_but_ask_the_service(client: httpx.Client) -> None:
    reply = client.get("/").raise_for_status()
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    policy = reply.headers["content-security-policy"].split("; ")
    for rule in ("default-src 'self'", "script-src 'self'", "style-src 'self'", "require-trusted-types-for 'script'"):
        assert rule in policy
    assert not any(word in reply.headers["content-security-policy"] for word in ("unsafe", "http", "*"))


@pytest.mark.parametrize("path", ["/page/", "/page", "/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py"])
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_page_works_under_the_path_of_a_proxy(run_server: RunServer) -> None:
    """All that it refers to is named relative to it."""
    with run_server("--root-path", "/music", shipped=True) as server:
        assert server.client.get("/").text == (FOLDER / "index.html").read_text()
    assert 'href="/' not in (FOLDER / "index.html").read_text()
    for name in FILES:
        if name.endswith(".js"):
            assert '"/' not in (FOLDER / name).read_text()
