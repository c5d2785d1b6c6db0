"""North and south stay apart for the colour-blind, in both themes."""

import re

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.training.test_plots import DEFICIENCIES

STYLE = (ROOT / "service" / "page" / "style.css").read_text()


def colour(name: str, theme: int) -> list[float]:
    """A colour (3,) of a theme, each part from 0 to 1."""
    digits = re.search(rf"--{name}: light-dark\(#(\w+), #(\w+)\)", STYLE)
    assert digits
    each = digits[theme + 1]
    each = "".join(2 * digit for digit in each) if len(each) == 3 else each
    return [int(each[start : start + 2], 16) / 255 for start in (0, 2, 4)]


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("pair", [("north", "south"), ("north", "land"), ("south", "land"), ("ink", "land")])
def test_colours_can_be_told_apart_by_the_colour_blind(theme: int, pair: tuple[str, str]) -> None:
    seen = np.array([colour(name, theme) for name in pair]) ** 2.2
    for deficiency in DEFICIENCIES.values():
        first, second = np.clip(seen @ deficiency.T, 0, 1) ** (1 / 2.2)
        assert np.linalg.norm(first - second) > 0.25
