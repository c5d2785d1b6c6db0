"""Fixtures: a client of the Open Inference Protocol, and servers with the door and without."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from tritonclient.http import InferenceServerClient

from tests.conftest import RunServer, module
from tests.service.door_requests import NO_APPLICATION
from tests.service.triton_requests import address

# So that an assertion that fails there says by what, as in a test file.
pytest.register_assert_rewrite("tests.service.tensor_requests")


@pytest.fixture(scope="module")
def triton(client: httpx.Client) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(address(client)) as triton:
        yield triton


@pytest.fixture(scope="module")
def servers(run_server: RunServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[httpx.Client]]:
    """One with the door, one without, and one that has nothing but the door."""
    altered = module(tmp_path_factory.mktemp("app"), NO_APPLICATION)
    with ExitStack() as stack:
        runs = [run_server(), run_server(http=()), run_server(**altered)]
        yield [stack.enter_context(run).client for run in runs]
