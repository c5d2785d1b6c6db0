"""What the API says, and how the page puts it."""

import math
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from service.schemas import EXAMPLE_FEATURES

FRAGMENT = "#piece=" + ",".join(map(str, EXAMPLE_FEATURES))
NETWORKS = ("places", "hidden", "simple")


def said(server: httpx.Client, path: str, features: list[float] = EXAMPLE_FEATURES) -> dict[str, Any]:
    """What the API says of a piece."""
    return dict(server.post(path, json={"features": features}).raise_for_status().json())


def percent(share: float) -> str:
    """A probability as the page says it."""
    rounded = "under 1" if share < 0.005 else "over 99" if share >= 0.995 else math.floor(100 * share + 0.5)
    return f"{rounded}\xa0%"


def predicted(server: httpx.Client, rows: NDArray[np.float64]) -> dict[str, list[Any]]:
    """What the API says of rows, column by column, as the file that is downloaded has it."""
    body = {"features": rows.tolist()}
    genres, origins, north = (
        server.post(f"/{path}/batch", json=body).raise_for_status().json()
        for path in ("genre", "origin", "north-of-20")
    )
    version = origins.pop("model_version")
    sides = {"north_of_20": north["north_of_20"], "probability_of_north": north["probability"]}
    genres.pop("warning", None)
    return {**origins, **sides, **genres, "model_version": [version] * len(rows)}
