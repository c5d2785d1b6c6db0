"""Figures and text as Markdown."""

import re
import textwrap
from collections.abc import Iterable, Sequence

from training.report import Metrics

UNDEFINED = "not defined"


def number(value: float | None, decimals: int = 3) -> str:
    """The number, with so many decimals; none is not defined."""
    return UNDEFINED if value is None else f"{value:,.{decimals}f}"


def estimate(estimate: Metrics, decimals: int = 3) -> str:
    """Mean ± standard deviation, and in brackets the interval for the mean; the mean alone where there is none."""
    if estimate["low"] is None:
        return number(estimate["mean"], decimals)
    mean, spread, low, high = (number(estimate[name], decimals) for name in ("mean", "spread", "low", "high"))
    return f"{mean} ± {spread} ({low} to {high})"


def signed(estimate: Metrics) -> str:
    """A difference with its sign, and in brackets the interval for it."""
    if estimate["low"] is None:
        return UNDEFINED
    return f"{estimate['mean']:+.3f} ({estimate['low']:+.3f} to {estimate['high']:+.3f})"


def distribution(distribution: Metrics, decimals: int = 3) -> str:
    """Mean ± standard deviation, and in brackets the least to the greatest."""
    mean, spread, least, greatest = (
        number(distribution[name], decimals) for name in ("mean", "spread", "least", "greatest")
    )
    return f"{mean} ± {spread} ({least} to {greatest})"


def wrapped(paragraph: str) -> str:
    """A paragraph or list in lines of at most 120 characters; tables, titles and images as they are."""
    if paragraph.startswith(("|", "#", "!")):
        return paragraph
    items = re.split(r"\n(?=- )", paragraph)
    return "\n".join(
        textwrap.fill(" ".join(item.split()), 120, subsequent_indent="  " if item.startswith("- ") else "")
        for item in items
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its cells as they are."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def plot(name: str, description: str) -> str:
    """The image of a plot of the card."""
    return f"![{description}](plots/{name}.png)\n"
