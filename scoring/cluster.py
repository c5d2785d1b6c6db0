"""Dask: the workers of this machine or of a cluster, what they are given, and what comes back."""

import ctypes
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import cloudpickle
import pyarrow as pa
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, as_completed, get_worker
from distributed.worker import Worker

import scoring
from models.archive import parse_bundle
from scoring.errors import UNREADABLE, ScoringError
from scoring.job import Job
from scoring.output import Outcome

PAUSES = (1, 1, 0)  # seconds after each try of a partition whose files could not be reached
WAIT_SECONDS = 30
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_BYTES, LARGEST_KEPT_BYTES = 2**28, 2**25  # the latter is the most that glibc takes
NEEDED = "what requirements/scoring.txt names"

# Workers need not have this package: what it defines travels as code, and not by name. Dask asks of the very module.
for _module in (scoring, sys.modules[__name__]):
    cloudpickle.register_pickle_by_value(_module)


class Scorer(WorkerPlugin):
    """What a worker needs beside `models/`: the job, and the bundle as bytes, which are checked where they arrive."""

    def __init__(self, job: Job, bundle: bytes, fingerprint: str) -> None:
        self.name = f"music-origin-{fingerprint}-{os.urandom(8).hex()}"
        self._job = job
        self._content = bundle
        self._fingerprint = fingerprint

    def setup(self, worker: Worker) -> None:
        """Loads the bundle, once for each worker."""
        pa.set_cpu_count(1)  # the tasks are what goes side by side
        keep_memory()
        self._bundle = parse_bundle(self._content, f"the bundle that {worker.address} was given")
        if self._bundle.fingerprint != self._fingerprint:
            raise ScoringError(f"{worker.address} reads another fingerprint in the bundle that it was given")

    def score(self, index: int) -> Outcome | str:
        """Scores one partition; what keeps it from being scored comes back in words."""
        for pause in PAUSES:
            try:
                return self._job.score(self._bundle, index)
            except ScoringError as error:
                return str(error)
            except UNREADABLE as error:
                failure = f"{self._job.catalogue.partitions[index].file}: {error}"
                time.sleep(pause)
        return f"{failure}; --resume goes on with what is not done yet"


def keep_memory() -> None:
    """Has glibc keep the memory of arrays that are gone for those that come next.

    Dask has it given back at once, and a third of the time then goes into getting it again, page by page.
    """
    with suppress(OSError, AttributeError):  # there is no glibc
        set_option = ctypes.CDLL(None).mallopt
        set_option(M_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)


@contextmanager
def connect(address: str | None, scheduler_file: str | None, workers: int) -> Iterator[Client]:
    """A client of a scheduler, or of so many workers on this machine. Raises ScoringError."""
    if scheduler_file:
        address = _address_in(scheduler_file)
    if address:
        try:
            client = Client(address, timeout=WAIT_SECONDS)
        except (OSError, ValueError) as error:
            raise ScoringError(f"no scheduler can be reached at {address}: {error}") from error
        with client:
            yield client
        return
    with _local_cluster(workers) as cluster, Client(cluster) as client:
        yield client


def _local_cluster(workers: int) -> LocalCluster:
    """Workers that leave Ctrl-C, which a terminal sends to all processes, to this one."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the processes to be inherit
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,  # what it warns of, it mends
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _address_in(scheduler_file: str) -> str:
    try:
        return str(json.loads(Path(scheduler_file).read_bytes())["address"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ScoringError(f"{scheduler_file} is no file that a Dask scheduler wrote: {error}") from error


def score(
    client: Client, job: Job, bundle: bytes, fingerprint: str, indices: Sequence[int]
) -> Iterator[tuple[int, Outcome]]:
    """Scores these partitions, and gives what becomes of each as it does. Raises ScoringError."""
    scorer = Scorer(job, bundle, fingerprint)
    try:
        client.wait_for_workers(1, timeout=WAIT_SECONDS)
        client.register_plugin(scorer)
    except TimeoutError as error:
        raise ScoringError(f"no worker has joined the scheduler within {WAIT_SECONDS} seconds: start one") from error
    except Exception as error:  # whatever keeps a worker from loading what it is given
        raise ScoringError(f"a worker cannot take the job: it needs models/ and {NEEDED} ({error})") from error
    futures = client.map(_task(scorer.name), indices, pure=False)
    index_of = {future.key: index for future, index in zip(futures, indices, strict=True)}
    try:
        for future, outcome in as_completed(futures, with_results=True):
            if isinstance(outcome, str):
                raise ScoringError(outcome)
            if isinstance(outcome, BaseException):
                raise ScoringError("the scheduler was lost; --resume goes on with what is not done yet")
            yield index_of[future.key], outcome
    except KilledWorker as error:
        raise ScoringError(f"the workers die of a partition: {error}") from error
    except (OSError, TimeoutError) as error:
        raise ScoringError(f"{error}; --resume goes on with what is not done yet") from error
    finally:
        with suppress(Exception):  # there may be no scheduler any more
            client.cancel(futures)
            client.unregister_worker_plugin(scorer.name)


def _task(name: str) -> Callable[[int], Outcome | str]:
    """A function that Dask sends as it is, since it has no name by which a worker could import it."""

    def score_partition(index: int) -> Outcome | str:
        scorer = cast(Scorer, get_worker().plugins[name])
        return scorer.score(index)

    return score_partition
