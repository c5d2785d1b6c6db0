"""Every state that the page can be in, and how to bring it there."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from service.schemas import EXAMPLE_FEATURES
from tests.page.conftest import open_file

KEY = "the-key"


def piece(page: Page, factor: float = 1) -> None:
    """A piece, by its address."""
    page.goto(f"/#piece={','.join(str(factor * value) for value in EXAMPLE_FEATURES)}")
    expect(page.locator("#piece-title")).to_be_visible()


def piece_of_genre_4(page: Page) -> None:
    """A piece that one place stands out for."""
    page.get_by_role("button", name="genre 4", exact=True).click()
    expect(page.locator("#piece-title")).to_have_text("Most like the music of Georgia")
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")


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
        genre, away = by_size[7 * row % len(by_size)], (-1) ** row * (0.6 + (37 * row % 100) / 125)
        pairs = zip(genre["centroid"], genre["example"], strict=True)
        cells = [f"{middle + away * (example - middle):.3f}" for middle, example in pairs]
        lines.append(",".join([f"piece {row}", *cells]))
    lines.append("piece 300," + ",".join(["9"] * 68))
    open_file(page, "\n".join(lines))
    expect(page.locator("#table-title")).to_have_text("tracks.csv: 300 pieces")


def long_words(page: Page) -> None:
    """A file and a piece with names that do not end."""
    word = "Wort" * 60
    open_file(page, f"{word},{'0.5,' * 67}0.5\n" * 2, f"{word}.csv")
    page.locator("[data-position]").first.click()
    expect(page.locator("#piece-title")).to_contain_text(word)


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
    open_file(page, "0.5 " * 67 + "0.5\n" + "0.5 " * 68)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()


def refused(page: Page) -> None:
    """A problem of the service, as it says it."""
    page.route("**/genre", lambda route: route.fulfill(status=422, json={"detail": "/features/1 must be a number."}))
    page.get_by_role("button", name="genre 1", exact=True).click()
    expect(page.locator("#problem")).to_be_visible()


def key_asked_for(page: Page) -> None:
    """The field for a key."""
    page.route("**/genre", lambda route: route.fulfill(status=401, json={"detail": "This needs an API key."}))
    page.get_by_role("button", name="genre 1", exact=True).click()
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
    "piece of genre 4": piece_of_genre_4,
    "all of a piece": all_of_a_piece,
    "unusual piece": lambda page: piece(page, 10),
    "table": table,
    "row of a table": row_of_table,
    "long words": long_words,
    "wrong input": wrong_input,
    "progress": progress,
    "refused": refused,
    "key asked for": key_asked_for,
    "genres": genres,
    "dropping": dropping,
}
