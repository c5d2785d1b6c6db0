"""Many pieces: what is under way, and what comes in between."""

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, Request, Route, expect

from tests.conftest import RunServer
from tests.page.conftest import NewPage, as_csv, open_file, posted
from tests.page.table import finished, save

Matrix = NDArray[np.float64]


def pause_after(page: Page, parts: int) -> list[Route]:
    """Answers so many parts of a table, and holds back the rest."""
    held: list[Route] = []
    answered = 0

    def hold(route: Route) -> None:
        nonlocal answered
        answered += 1
        if answered > parts:
            held.append(route)
        else:
            route.continue_()

    page.route("**/genre/batch", hold)
    return held


def test_progress_is_shown_and_work_can_be_cancelled(page: Page, rows: Matrix) -> None:
    pause_after(page, parts=2)
    open_file(page, as_csv(rows))
    expect(page.get_by_text("Asked about 2,000 of 2,500 rows")).to_be_visible()
    assert page.locator("progress").evaluate("bar => [bar.value, bar.max]") == [2000, 2500]
    page.get_by_role("button", name="Cancel").click()
    finished(page, "tracks.csv: the first 2,000 of 2,500 pieces")
    expect(page.locator("progress")).to_be_hidden()
    assert [line[0] for line in save(page)][-1] == "2000"


def test_work_can_be_cancelled_before_anything_is_answered(page: Page, rows: Matrix) -> None:
    pause_after(page, parts=0)
    open_file(page, as_csv(rows))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("progress")).to_be_hidden()
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Open a file…")).to_be_focused()


def test_reading_shows_how_far_it_is_and_can_be_cancelled(page: Page, requests: list[Request], rows: Matrix) -> None:
    """The page counts as it reads, and waits for other things to happen in between."""
    page.evaluate(
        """() => { const words = document.getElementById("doing"); window.seen = [];
            new MutationObserver(() => { window.seen.push(words.textContent);
                if (words.textContent.startsWith("Read 2,000")) document.getElementById("cancel").click();
            }).observe(words, {childList: true}); }"""
    )
    open_file(page, as_csv(np.tile(rows, (4, 1))))
    expect(page.locator("#status")).to_have_text("Cancelled.")
    assert page.evaluate("window.seen") == [f"Read {done} of 10,000 rows" for done in ("0", "1,000", "2,000")]
    assert not posted(requests)


def test_new_work_takes_the_place_of_old(page: Page, rows: Matrix) -> None:
    """What was answered of the old is not shown meanwhile, and its end is not taken for that of the new."""
    pause_after(page, parts=1)
    open_file(page, as_csv(rows), "old.csv")
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    open_file(page, as_csv(rows[:3]), "new.csv")
    expect(page.get_by_text("Asked about 0 of 3 rows")).to_be_visible()
    page.wait_for_timeout(200)
    expect(page.locator("progress")).to_be_visible()
    expect(page.locator("#table")).to_be_hidden()
    page.unroute("**/genre/batch")
    open_file(page, as_csv(rows[:3]), "new.csv")
    finished(page, "new.csv: 3 pieces")
    page.wait_for_load_state("networkidle")
    finished(page, "new.csv: 3 pieces")


def test_piece_in_a_file_gives_way_to_another(page: Page) -> None:
    """Where a file is still being read when something else is asked for."""
    expect(page.locator("#examples")).to_be_visible()
    page.evaluate(
        """text => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([text], "piece.txt"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
            document.querySelector("#examples button").click();
        }""",
        "0.5 " * 68,
    )
    expect(page.locator("#piece .lead")).to_contain_text("Genre 0.")
    page.wait_for_timeout(200)
    expect(page.locator("#piece .lead")).to_contain_text("Genre 0.")
    assert not page.url.endswith("0.5")


def test_file_opened_among_the_genres_is_seen_to_be_read(page: Page, rows: Matrix) -> None:
    page.get_by_role("tab", name="The genres").click()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()
    pause_after(page, parts=0)
    open_file(page, as_csv(rows))
    expect(page.get_by_role("tab", name="Your music")).to_have_attribute("aria-selected", "true")
    expect(page.locator("progress")).to_be_visible()
    assert "#genres" not in page.url


def test_way_back_ends_the_work(page: Page, rows: Matrix) -> None:
    page.get_by_role("button", name="genre 9", exact=True).click()
    expect(page.locator("#piece-title")).to_be_visible()
    pause_after(page, parts=0)
    open_file(page, as_csv(rows))
    expect(page.locator("progress")).to_be_visible()
    page.go_back()
    expect(page.locator("progress")).to_be_hidden()
    expect(page.locator("#piece")).to_be_hidden()
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_work_goes_on_while_the_genres_are_looked_at(page: Page, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, as_csv(rows[:1500]))
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    page.get_by_role("tab", name="The genres").click()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()
    held[0].continue_()
    finished(page, "tracks.csv: 1,500 pieces")


def test_file_gives_way_to_a_piece_while_it_is_read(page: Page, requests: list[Request], rows: Matrix) -> None:
    page.evaluate(
        """() => { const words = document.getElementById("doing");
            new MutationObserver(() => words.textContent.startsWith("Read 1,000")
                && document.querySelector("#examples button").click()).observe(words, {childList: true}); }"""
    )
    open_file(page, as_csv(np.tile(rows, (4, 1))))
    expect(page.locator("#piece .lead")).to_contain_text("Genre 0.")
    expect(page.locator("progress")).to_be_hidden()
    page.wait_for_load_state("networkidle")
    expect(page.locator("progress")).to_be_hidden()
    assert len(posted(requests)) == 5


def test_batch_that_the_service_refuses_is_told_as_it_says(
    new_page: NewPage, run_server: RunServer, rows: Matrix
) -> None:
    with run_server(shipped=True, MUSIC_ORIGIN_MAX_BATCH="300") as small:
        page = new_page(base_url=str(small.client.base_url))
        page.goto("/")
        open_file(page, as_csv(rows[:1000]))
        expect(page.locator("#problem")).to_have_text(
            "A batch must have at most 300 rows of 68 numbers: send it in parts."
        )
        expect(page.locator("#table")).to_be_hidden()


def test_what_was_answered_before_a_failure_is_kept(page: Page, rows: Matrix) -> None:
    held = pause_after(page, parts=1)
    open_file(page, as_csv(rows))
    expect(page.get_by_text("Asked about 1,000")).to_be_visible()
    while not held:
        page.wait_for_timeout(10)
    held[0].fulfill(status=503, json={"detail": "There is no model yet: ask later."})
    finished(page, "tracks.csv: the first 1,000 of 2,500 pieces")
    expect(page.locator("#problem")).to_contain_text("There is no model yet: ask later.")
