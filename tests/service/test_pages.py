import httpx
import pytest
from starlette.responses import HTMLResponse

from service.pages import ANY_STYLE, confined


def test_only_what_is_written_in_a_page_may_run() -> None:
    page = confined(HTMLResponse("<script src='a.js'></script><script>one()</script><style>p {}</style>"))
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' 'sha256-HR7iaask9daLMRRskMI++QeJtjWDOjyPA6lGzYGzKW4=';" in policy
    assert policy.count("sha256") == 2
    assert "unsafe" not in policy
    assert "unsafe-inline" in confined(HTMLResponse(""), styles=ANY_STYLE).headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/model/card", "/problems", "/problems/not-found"])
def test_every_page_is_confined(client: httpx.Client, path: str) -> None:
    reply = client.get(path, headers={"Accept": "text/html"}).raise_for_status()
    policy = reply.headers["content-security-policy"]
    for rule in ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "http" not in policy
    (scripts,) = [rule for rule in policy.split("; ") if rule.startswith("script-src")]
    assert "unsafe" not in scripts
    assert ("unsafe" in policy) == (path == "/redoc")
