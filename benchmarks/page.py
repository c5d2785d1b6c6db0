"""Measures the page in Chromium, on a server of its own: first paint, answers, and how smooth a long table is.

`make bench-page`, or `python -m benchmarks.page`, writes benchmarks/PAGE.md.
"""

import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from rich.progress import track

FOLDER = Path(__file__).parent
LOADS = 30
ROWS = 10_000
FRAMES = 300
PIECE = ",".join(str(value) for value in np.random.default_rng(0).normal(size=68).round(2))

# Scrolls by a few rows in every frame, and gives the milliseconds from each frame to the next.
SCROLL = """frames => new Promise(resolve => {
    const grid = document.querySelector(".grid"), times = [];
    const step = time => {
        times.push(time);
        grid.scrollTop += (grid.scrollHeight - grid.clientHeight) / frames;
        if (times.length <= frames) requestAnimationFrame(step);
        else resolve(times.slice(1).map((time, index) => time - times[index]));
    };
    requestAnimationFrame(step);
})"""
PAINTS = "Object.fromEntries(performance.getEntriesByType('paint').map(entry => [entry.name, entry.startTime]))"


def main() -> None:
    """Measures everything and writes the results."""
    with serve() as address, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), chromium_sandbox=os.geteuid() != 0
        )
        cold = [measure_load(browser, address) for _ in track(range(LOADS), description="first paint")]
        page = browser.new_page(base_url=address, viewport={"width": 1440, "height": 900})
        page.goto("/")
        page.wait_for_selector("#examples button")
        file = Path(folder) / "rows.csv"
        np.savetxt(file, np.random.default_rng(1).normal(size=(ROWS, 68)), fmt="%.4f", delimiter=",")
        table = [milliseconds(lambda: open_table(page, file)) for _ in track(range(5), description="table")]
        sorts = [
            milliseconds(page.get_by_role("button", name=column, exact=True).click)
            for column in ("Typicality", "Place", "Likely", "North", "Row")
        ]
        frames = page.evaluate(SCROLL, FRAMES)
        version = browser.version
        browser.close()
    text = results(version, [first for first, _ in cold], [answer for _, answer in cold], table, sorts, frames)
    (FOLDER / "PAGE.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


@contextmanager
def serve() -> Iterator[str]:
    """The address of a server as it is shipped."""
    command = [sys.executable, "-m", "service", "--port", "0"]
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            while True:
                log.seek(0)
                if found := re.search(r"running on (http://\S+)", log.read()):
                    break
                time.sleep(0.05)
            yield found[1]
        finally:
            server.terminate()


def measure_load(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds from the start to the first paint, and to the answer about the piece of a shared address.

    The context is new, so nothing is in its cache.
    """
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        page = context.new_page()
        answer = milliseconds(lambda: open_piece(page, address))
        return float(page.evaluate(PAINTS)["first-contentful-paint"]), answer


def open_piece(page: Page, address: str) -> None:
    """Opens the shared address of a piece, until it is answered."""
    page.goto(f"{address}/#piece={PIECE}")
    page.wait_for_selector("#piece-title")


def open_table(page: Page, file: Path) -> None:
    """Opens a file, until all of it is answered and shown."""
    page.evaluate("document.querySelector('.grid')?.remove()")
    page.set_input_files("#file", file)
    page.wait_for_selector(".grid [data-position]")


def milliseconds(job: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    job()
    return 1000 * (time.perf_counter() - started)


def results(
    version: str,
    paints: Sequence[float],
    answers: Sequence[float],
    tables: Sequence[float],
    sorts: Sequence[float],
    frames: Sequence[float],
) -> str:
    """The results in Markdown."""
    late = sum(frame > 1.5 * statistics.median(frames) for frame in frames)
    rows = [
        (f"first contentful paint, {len(paints)} loads with an empty cache", paints),
        (f"a shared piece, from the start to its answer, {len(answers)} loads", answers),
        (f"{ROWS:,} rows of CSV, from the file to the table, {len(tables)} times", tables),
        (f"sorting {ROWS:,} rows by a column, {len(sorts)} columns", sorts),
        (f"from frame to frame, scrolling through {ROWS:,} rows in {len(frames)} frames", frames),
    ]
    lines = "\n".join(f"| {name} | {statistics.median(each):.0f} | {max(each):.0f} |" for name, each in rows)
    return f"""# The page, measured

Written by `make bench-page`. Chromium {version} without a window, over loopback, on the {os.cpu_count()} CPUs of the
server too: {platform.system()} on {platform.machine()}, Python {platform.python_version()}.

| milliseconds | median | most |
| --- | --- | --- |
{lines}

Of {len(frames)} frames {late} came late, by more than half of the usual time between two.
"""


if __name__ == "__main__":
    main()
