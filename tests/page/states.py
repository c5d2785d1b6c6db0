"""Every state that the page can be in, and how to bring it there."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from service.schemas import EXAMPLE_FEATURES

KEY = "the-key"


def piece(page: Page, factor: float = 1) -> None:
    """A piece, by its address."""
    page.goto(f"/#piece={','.join(str(factor * value) for value in EXAMPLE_FEATURES)}")
    expect(page.locator("#piece-title")).to_be_visible()


def all_of_a_piece(page: Page) -> None:
    """A piece with everything unfolded."""
    piece(page)
    for summary in page.locator("summary").all():
        summary.click()


def table(page: Page) -> None:
    """A file of 300 pieces, made from the genres' examples, one of them unlike the training data."""
    genres = page.request.get("/genres").json()["genres"]
    by_size = [genre for genre in genres for _ in range(0, genre["size"], 20)]
    lines = ["name," + ",".join(f"f{number}" for number in range(1, 69))]
    for row in range(1, 300):
        genre, away = by_size[7 * row % len(by_size)], (37 * row % 100) / 50 - 1
        pairs = zip(genre["centroid"], genre["example"], strict=True)
        cells = [f"{middle + away * (example - middle):.3f}" for middle, example in pairs]
        lines.append(",".join([f"piece {row}", *cells]))
    lines.append("piece 300," + ",".join(["9"] * 68))
    page.set_input_files("#file", {"name": "tracks.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()})
    expect(page.locator("#table-title")).to_have_text("tracks.csv: 300 pieces")


def row_of_table(page: Page) -> None:
    """A file, and one of its rows on the map."""
    table(page)
    page.locator("[data-position]").nth(3).click()
    expect(page.locator("#piece-title")).to_contain_text("Row 4")


def wrong_input(page: Page) -> None:
    """What is wrong with a piece, beside the field."""
    page.get_by_label("68 numbers").fill("0.1, abc")
    page.get_by_role("button", name="Show where it comes from").click()
    expect(page.locator("#input-error")).not_to_be_empty()


def progress(page: Page) -> None:
    """A file that is not yet answered."""
    page.route("**/genre/batch", lambda _: None)
    page.set_input_files(
        "#file", {"name": "tracks.csv", "mimeType": "text/csv", "buffer": b"0.5 " * 67 + b"0.5\n" + b"0.5 " * 68}
    )
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()


def refused(page: Page) -> None:
    """A problem of the service, as it says it."""
    detail = {"detail": "2 values are wrong.", "errors": [{"pointer": "/features/1", "message": "must be a number"}]}
    page.route("**/genre", lambda route: route.fulfill(status=422, json=detail))
    page.get_by_role("button", name="Example of genre 1").click()
    expect(page.locator("#problem")).to_be_visible()


def key_asked_for(page: Page) -> None:
    """The field for a key."""
    page.route("**/genre", lambda route: route.fulfill(status=401, json={"detail": "This needs an API key."}))
    page.get_by_role("button", name="Example of genre 1").click()
    expect(page.get_by_label("API key")).to_be_visible()


def genres(page: Page) -> None:
    """All genres."""
    page.get_by_role("tab", name="The genres").click()
    expect(page.get_by_role("heading", name="Genre 9")).to_be_visible()


def dropping(page: Page) -> None:
    """A file held over the page."""
    drag = "new DragEvent('dragover', {dataTransfer: new DataTransfer(), bubbles: true, cancelable: true})"
    page.evaluate(f"document.body.dispatchEvent({drag})")


STATES: dict[str, Callable[[Page], None]] = {
    "start": lambda page: expect(page.locator("#examples")).to_be_visible(),
    "piece": piece,
    "all of a piece": all_of_a_piece,
    "unusual piece": lambda page: piece(page, 10),
    "table": table,
    "row of a table": row_of_table,
    "wrong input": wrong_input,
    "progress": progress,
    "refused": refused,
    "key asked for": key_asked_for,
    "genres": genres,
    "dropping": dropping,
}
