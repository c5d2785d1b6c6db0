"""The pictures in the README are of this page."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.conftest import ROOT
from tests.page.states import STATES

STATES_OF_PICTURES = {"piece": ("piece of genre 4", "light", "body"), "table": ("row of a table", "dark", "#table")}
SIZE = (160, 120)  # small enough that letters, which differ from machine to machine, are blurred
MEAN, WORST = 0.01, 0.25


@pytest.mark.parametrize("name", STATES_OF_PICTURES)
def test_picture_in_the_readme_is_of_this_page(page: Page, pytestconfig: pytest.Config, name: str) -> None:
    state, theme, part = STATES_OF_PICTURES[name]
    STATES[state](page)
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    taken = page.locator(part).screenshot()
    if folder := pytestconfig.getoption("screenshots"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(taken)
    (target,) = re.findall(rf"!\[.*\]\((tests/page/{name}\.png)\)", (ROOT / "README.md").read_text())
    kept = (ROOT / target).read_bytes()
    differences = np.abs(from_far_away(taken) - from_far_away(kept))
    assert differences.mean() < MEAN
    assert differences.max() < WORST
    assert len(kept) < 400_000


def from_far_away(picture: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The picture (120, 160, 3), each part of its colours from 0 to 1."""
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").resize(SIZE, Image.Resampling.BOX)) / 255
