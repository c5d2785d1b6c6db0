"""A fixture for the tests of training."""

import json
from typing import Any

import pytest

from models.archive import DEFAULT_BUNDLE


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed metrics.json."""
    text = DEFAULT_BUNDLE.with_name("metrics.json").read_text()
    return dict(json.loads(text, parse_constant=pytest.fail))
