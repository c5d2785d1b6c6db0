"""Bad requests of which it is not the body, or not alone, that is bad."""

from collections.abc import Callable, Iterator

from service.forms import CSV, JSON, NPY
from tests.bad_requests import BAD_BODIES, METHODS, ODDITIES, UNKNOWN_PATHS
from tests.fuzz_bodies import as_csv, as_npy
from tests.service.door_requests import PIECE
from tests.trust import bad_bodies
from tests.trust.bad_bodies import BATCHES, BODY_LIMIT, PIECES, TABLE, TENSORS, Bad, Draw, damage, post
from tests.trust.wire import request

WITHOUT_BODY = ("/health/live", "/model", "/genres", "/openapi.json", "/docs", "/", "/nowhere", "/v2/nowhere", "/v2")
TOKENS = "abcXYZ019-_.~%/\\?#&=;:,+*'\"()[]{}<>|^`@! \x00\x01\t\x7f\x80\xff"
FILES = ("/model/plots/a.png", f"/model/plots/{'a' * 300}.png", "/docs/assets/a.js", f"/docs/assets/{'a' * 300}.js")
LENGTHS = (
    b"Content-Length: -", b"Content-Length: 0x", b"Content-Length: 1\r\nContent-Length: ", b"Content-Length : ",
    b" Content-Length: ",
)  # fmt: skip


def known_input(draw: Draw) -> Bad:
    """What tests/test_errors.py sends one by one, anywhere."""
    given = draw.choice([*BAD_BODIES.values(), *ODDITIES.values()])
    content = PIECE if given.content is None else given.content
    path = draw.choice((*PIECES, *BATCHES, *TENSORS, *WITHOUT_BODY, *UNKNOWN_PATHS))
    headers = {"Content-Type": JSON, **given.headers, "Content-Length": len(content)}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    method = draw.choice([method for method in METHODS if method != "HEAD"])
    line = f"{method} {path.partition('?')[0]}?{given.query} HTTP/1.1"
    # A body behind an Upgrade is lost, or a request for what comes next: the connection ends.
    return Bad(request(line, *lines, body=content), whole="Upgrade" not in given.headers)


def characters(draw: Draw, most: int = 40) -> str:
    return "".join(draw.choices(TOKENS, k=draw.randrange(most)))


def random_headers(draw: Draw) -> Bad:
    """Headers that say what makes no sense, in characters that a header may have."""
    names = (
        "Accept", "Accept-Encoding", "Authorization", "Content-Encoding", "Content-Type", "Cookie", "Date", "Forwarded",
        "If-Match", "Inference-Header-Content-Length", "Origin", "Range", "TE", "User-Agent", "Via", "X-API-Key",
        "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-ID", "x" * 200,
    )  # fmt: skip
    values = ("", "*/*", "*/*;q=x", "text/csv;q=1e9", ";;", "gzip, gzip", "bytes=0-", "é\xff", "," * 500, '"', "%00")
    lines = []
    for _ in range(draw.randrange(1, 8)):
        text = "".join(each for each in characters(draw) if each >= " " and each != "\x7f")
        lines.append(f"{draw.choice(names)}: {draw.choice((*values, text))}")
    path = draw.choice((*PIECES, *BATCHES, *TENSORS))
    if draw.random() < 0.7:
        return Bad(request(f"POST {path} HTTP/1.1", *lines, f"Content-Length: {len(PIECE)}", body=PIECE))
    return Bad(request(f"GET {draw.choice(WITHOUT_BODY)} HTTP/1.1", *lines))


def random_path(draw: Draw) -> Bad:
    """A path or a query that is none, in characters that a request's line may have."""
    known = draw.choice((*PIECES, *BATCHES, *TENSORS, *WITHOUT_BODY, *FILES))
    piece = draw.choice((
        "%00", "%ff", "%", "%zz", "//", "/../", "/%2e%2e/%2e%2e/etc/passwd", "?", "??", "?network=", "?top=1e9",
        "?top=-1", f"?top={'9' * 5000}", "?network=%ff", "?calibrated=1", "&" * 300, "/" * 300, "é", "#", "?#", ";",
        "a" * 3000,
        "".join(each for each in characters(draw) if "!" <= each < "\x7f"),
    ))  # fmt: skip
    place = draw.randrange(1, len(known) + 1)
    target = draw.choice((known[:place] + piece + known[place:], f"http://elsewhere{known}", f"/{piece}"))
    if draw.random() < 0.5:
        return Bad(request(f"GET {target} HTTP/1.1"), whole=False)
    body = post(target, PIECE)
    return Bad(body, whole=False)


def random_method(draw: Draw) -> Bad:
    method = draw.choice((*METHODS, "PROPFIND", "PURGE", "SEARCH", "QUERY", "LINK", "MKCOL", "REPORT", "CONNECT"))
    path = draw.choice((*PIECES, *BATCHES, *TENSORS, *WITHOUT_BODY))
    sent = request(f"{method} {path} HTTP/1.1", f"Content-Length: {len(PIECE)}", body=PIECE)
    return Bad(sent, whole=method not in ("CONNECT", "QUERY"), head=method == "HEAD")


def cut_off(draw: Draw) -> Bad:
    """A request that ends before it is whole."""
    path, form, body = draw.choice((
        (PIECES[0], JSON, PIECE),
        (BATCHES[0], CSV, as_csv(TABLE, ",", True)),
        (BATCHES[1], NPY, as_npy(TABLE, "<f8", "C")),
        (TENSORS[0], JSON, PIECE),
    ))  # fmt: skip
    sent = post(path, body, form)
    return Bad(sent[: draw.randrange(1, len(sent))], whole=False, cut=True)


def twice(draw: Draw) -> Bad:
    """A body that is there twice, within its length or beyond it, or chunked with a length as well."""
    body = draw.choice((PIECE, as_csv(TABLE, ",", True), as_npy(TABLE, "<f8", "C")))
    path, form = draw.choice(((PIECES[0], JSON), (BATCHES[0], CSV), (BATCHES[0], NPY), (TENSORS[1], JSON)))
    if draw.random() < 0.5:
        return Bad(post(path, body + body, form))
    return Bad(post(path, body, form) + body, whole=False)


def _chunks(draw: Draw, total: int) -> Iterator[bytes]:
    while total > 0:
        size = min(total, draw.choice((1, 100, 30_000, 100_000)))
        total -= size
        yield b"%x\r\n%b\r\n" % (size, b" " * size)


def endless(draw: Draw) -> Bad:
    """Chunks beyond what is taken, or beside what takes none; and no end of them."""
    path = draw.choice((*PIECES, *BATCHES, *TENSORS, *WITHOUT_BODY))
    total = draw.choice((10, 1000, BODY_LIMIT // 2, 2 * BODY_LIMIT))
    head = request(f"POST {path} HTTP/1.1", f"Content-Type: {draw.choice((JSON, CSV))}", "Transfer-Encoding: chunked")
    return Bad(head + b"".join(_chunks(draw, total)), whole=False, cut=True)


def chunked(draw: Draw) -> Bad:
    """A body in chunks, whose sizes are odd or wrong."""
    size = draw.choice((
        f"{len(PIECE):x}", f"0{len(PIECE):X}", f"0x{len(PIECE):x}", f"+{len(PIECE):x}", f"-{len(PIECE):x}", "f" * 16,
        "1" + "0" * 16, f"{len(PIECE) + 1:x}", f"{len(PIECE) - 1:x}", f"{len(PIECE):x};{'a' * 500}=b", "", "g", "0",
        f"{len(PIECE):x} ", f" {len(PIECE):x}", f"{len(PIECE)}.0",
    ))  # fmt: skip
    end = draw.choice((b"\r\n0\r\n\r\n", b"\n0\n\n", b"\r\n0\r\nX-Trailer: 1\r\n\r\n", b"0\r\n\r\n", b"\r\n00\r\n\r\n"))
    coding = draw.choice(("chunked", "chunked", "Chunked", "xchunked", "gzip, chunked", "chunked, chunked", "identity"))
    path = draw.choice((*PIECES, *BATCHES, *TENSORS, *WITHOUT_BODY))
    head = request(f"POST {path} HTTP/1.1", f"Content-Type: {JSON}", f"Transfer-Encoding: {coding}")
    return Bad(head + size.encode() + b"\r\n" + PIECE + end, whole=False)


def no_http(draw: Draw) -> Bad:
    """Bytes that are no request, or are one with a few of its head's bytes changed."""
    if draw.random() < 0.3:
        return Bad(draw.randbytes(draw.randrange(1, 300)) + b"\r\n\r\n", whole=False)
    good = post(draw.choice((*PIECES, *TENSORS)), PIECE)
    head = good[: -len(PIECE)]
    if draw.random() < 0.6:
        return Bad(damage(draw, head) + PIECE, whole=False)
    return Bad(
        draw.choice((
            good.replace(b"HTTP/1.1", draw.choice((b"HTTP/9.9", b"HTTP/1", b"http/1.1", b"", b"HTTP/2.0", b"ICY/1.1"))),
            good.replace(b"\r\n", b"\n"),
            good.replace(b"Host: here", b"Host: here\r\nX: " + b"a" * draw.choice((60_000, 70_000, 200_000))),
            good.replace(b"Host: here\r\n", b"X: a\r\n" * 9_000),
            good.replace(b"POST /", b"POST /" + b"a" * draw.choice((60_000, 70_000, 200_000))),
            good.replace(b"Content-Length: ", draw.choice(LENGTHS)),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + draw.randbytes(200),
            b"GET / HTTP/0.9\r\n\r\n",
            b"\r\n\r\n\r\n",
        )),
        whole=False,
    )  # fmt: skip


KINDS: tuple[Callable[[Draw], Bad], ...] = (
    *bad_bodies.KINDS, known_input, random_headers, random_path, random_method, cut_off, twice, endless, chunked,
    no_http,
)  # fmt: skip
