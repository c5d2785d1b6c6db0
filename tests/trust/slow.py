"""Clients that keep a server waiting, in a process of their own: `python -m tests.trust.slow HOST PORT COUNT`.

It prints a line when all of them are connected, and at the end, in JSON, how they were treated: by kind, the statuses
of the replies, and the least and the most seconds until one was cut off.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict

HEAD = b"POST /genre HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
KINDS = {
    "says nothing": (b"", b""),
    "head, a byte a second": (b"GET /health/live HTTP/1.1\r\n", b"x"),
    "head that stops": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", b""),
    "empty lines": (b"", b"\r\n"),
    "body, a byte a second": (HEAD, b" "),
    "body that stops": (HEAD + b'{"features": [', b""),
    "body that nobody reads, a byte a second": (HEAD.replace(b"/genre", b"/nowhere"), b" "),
    "chunks, a byte a second": (HEAD.replace(b"Content-Length: 5000", b"Transfer-Encoding: chunked"), b"1\r\n \r\n"),
}


async def be_slow(host: str, port: int, kind: str, connected: asyncio.Semaphore) -> tuple[str, str, float]:
    """The kind, the status of the reply, and the seconds until the end."""
    first, more = KINDS[kind]
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(first)
    connected.release()
    reply = asyncio.ensure_future(reader.read())
    while not reply.done():
        await asyncio.wait([reply], timeout=1)
        if more and not reply.done():
            writer.write(more)
    writer.close()
    try:
        status = reply.result()[9:12].decode() or "no reply"
    except ConnectionError:
        status = "reset"
    return kind, status, time.perf_counter() - started


async def main(host: str, port: int, count: int) -> None:
    """Has so many slow clients at a time."""
    connected = asyncio.Semaphore(0)
    kinds = [*KINDS] * (count // len(KINDS) + 1)
    clients = []
    for kind in kinds[:count]:
        clients.append(asyncio.ensure_future(be_slow(host, port, kind, connected)))
        await asyncio.sleep(1 / count)  # they do not march in step
    for _ in clients:
        await connected.acquire()
    print("connected", flush=True)
    statuses: defaultdict[str, set[str]] = defaultdict(set)
    lasted: defaultdict[str, list[float]] = defaultdict(list)
    for kind, status, seconds in await asyncio.gather(*clients):
        statuses[kind].add(status)
        lasted[kind].append(seconds)
    print(json.dumps({kind: [sorted(statuses[kind]), min(lasted[kind]), max(lasted[kind])] for kind in KINDS}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
