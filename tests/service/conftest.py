"""A fixture for the tests of the Open Inference Protocol."""

from collections.abc import Iterator

import httpx
import pytest
from tritonclient.http import InferenceServerClient

from tests.service.triton_requests import address

# So that an assertion that fails there says by what, as in a test file.
pytest.register_assert_rewrite("tests.service.tensor_requests")


@pytest.fixture(scope="module")
def triton(client: httpx.Client) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(address(client)) as triton:
        yield triton
