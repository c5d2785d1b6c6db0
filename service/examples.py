"""What the documentation shows of the bodies that FastAPI does not read itself."""

from typing import Any

from service.forms import ARROW, CSV, JSON, NPY
from service.schemas import EXAMPLE_ROWS, Batch

BINARY = {"type": "string", "format": "binary"}
EXAMPLE_CSV = "".join(",".join(map(str, row)) + "\n" for row in EXAMPLE_ROWS)


PIECE = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/Piece"}}},
    }
}


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
