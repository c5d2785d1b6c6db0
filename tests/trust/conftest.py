"""What every attack shares: how long it lasts, and the table of figures that is printed at the end."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

Sized = Callable[[int, int], int]
Record = Callable[..., None]


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was tried, what came of it, what was wanted, and whether that is met."""

    tried: str
    found: str
    wanted: str
    met: bool


FIGURES: list[Figure] = []


@pytest.fixture(scope="session")
def sized(request: pytest.FixtureRequest) -> Sized:
    """How much of something: `sized(long, short)`, the latter unless pytest was called with --long."""
    return lambda long, short: long if request.config.getoption("--long") else short


@pytest.fixture(scope="session")
def record() -> Record:
    """Takes down a figure, `record(tried, found, wanted, met)`, and fails unless it is met."""

    def record(tried: str, found: object, wanted: str, met: bool) -> None:
        FIGURES.append(Figure(tried, str(found), wanted, met))
        assert met, f"{tried}: {found}, wanted: {wanted}"

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    if not FIGURES:
        return
    rows = [("tried", "found", "wanted", "")]
    rows += [(each.tried, each.found, each.wanted, "met" if each.met else "NOT MET") for each in FIGURES]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("trust")
    for row in rows:
        terminalreporter.write_line(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
