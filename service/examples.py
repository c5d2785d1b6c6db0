"""What the documentation shows of the bodies that FastAPI does not read itself, and a made piece of each genre."""

from typing import Any

import numpy as np

from models.bundle import ModelBundle
from models.features import FEATURE_BOUND
from service.forms import ARROW, CSV, JSON, NPY
from service.schemas import EXAMPLE_FEATURES, EXAMPLE_ROWS, Batch

BINARY = {"type": "string", "format": "binary"}
EXAMPLE_CSV = "".join(",".join(map(str, row)) + "\n" for row in EXAMPLE_ROWS)
MEDIAN = 50  # among the 101 quantiles of distances

PIECE = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Piece"}}},
    }
}


def piece_of_genre(bundle: ModelBundle, genre: int) -> list[float]:
    """A made piece (68,) of the genre, no piece of music, with two decimals.

    From the centroid it lies in the direction of the documentation's example, at the median distance of the genre's own
    pieces.
    """
    direction = np.array(EXAMPLE_FEATURES) / np.linalg.norm(EXAMPLE_FEATURES)
    distance = bundle.manifest.genres[genre].distance_quantiles[MEDIAN]
    piece = bundle.genres.centroids[genre] + distance * direction
    features: list[float] = piece.clip(-FEATURE_BOUND, FEATURE_BOUND).round(2).tolist()
    return features


def request_body() -> dict[str, Any]:
    """The OpenAPI entry of a batch's body."""
    schema = Batch.model_json_schema()
    content = {
        JSON: {"schema": schema},
        CSV: {"schema": {"type": "string"}, "example": EXAMPLE_CSV},
        NPY: {"schema": BINARY},
        ARROW: {"schema": BINARY},
    }
    description = (
        "Rows of 68 features. CSV may have a header, and commas, semicolons or tabs between its numbers. CSV, .npy and "
        "Arrow may have 70 columns, as the published data set has: the last two are then left aside, and the header "
        "X-Ignored-Columns of the reply says so. The body may be compressed: Content-Encoding: gzip or deflate."
    )
    return {"requestBody": {"required": True, "description": description, "content": content}}


def reply_forms(csv_header: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of a batch's reply in forms other than JSON."""
    content = {
        CSV: {"schema": {"type": "string"}, "example": f"{csv_header}\n"},
        NPY: {"schema": BINARY},
        ARROW: {"schema": BINARY},
    }
    ignored = {
        "description": "Columns of the body, from 1, that were left aside.",
        "schema": {"type": "string"},
        "required": False,
    }
    return {200: {"content": content, "headers": {"X-Ignored-Columns": ignored}}}
