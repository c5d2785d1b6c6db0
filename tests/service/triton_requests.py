"""What the tests ask for by Triton's client."""

import httpx
import numpy as np
from tritonclient.http import InferInput

from models.features import Floats

OUTPUTS = {"genre": ["genre", "distance"], "north-of-20": ["north_of_20", "probability"]}
DATATYPES = {"FP32": np.float32, "FP64": np.float64}
ROWS = np.random.default_rng(11).normal(0, 1.5, size=(200, 68))


def address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def tensor(rows: Floats, datatype: str = "FP64", *, binary: bool = True) -> InferInput:
    values = rows.astype(DATATYPES[datatype])
    return InferInput("features", [*values.shape], datatype).set_data_from_numpy(values, binary_data=binary)
