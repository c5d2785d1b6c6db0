"""What Prometheus is told: requests, their latency, rows, and what is predicted; summed over all workers."""

import hashlib
import multiprocessing
import os
import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from models.bundle import Manifest, ModelBundle
from service.ledger import Answered

if TYPE_CHECKING:  # when it is imported for real, see below
    from prometheus_client import Counter, Histogram

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SIDES = ("not north", "north")
OUTCOMES = ("done", "refused")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class SharedFolderError(Exception):
    """Workers have no folder to share their figures in. The message is one sentence that says what to do."""


class Metrics:
    """The instruments of one process, or of all workers together."""

    def __init__(self, bundle: ModelBundle, concurrency_limit: int) -> None:
        if multiprocessing.parent_process():
            _share_between_workers()
        # prometheus-client decides when it is imported whether it shares its values between processes.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        if SHARED_FOLDER not in os.environ:
            ProcessCollector(registry=self._registry)
        requests = Counter(
            "music_origin_requests",
            "Requests answered, by path, method and status.",
            ("path", "method", "status"),
            registry=self._registry,
        )
        seconds = Histogram(
            "music_origin_request_seconds",
            "Seconds from a request's head to the end of its reply.",
            ("path", "method"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "music_origin_requests_in_flight",
            "Requests that are being answered.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        limit = Gauge(
            "music_origin_concurrency_limit",
            "Predictions that may be under way; more are answered 429.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        limit.set(concurrency_limit)
        rows = Counter("music_origin_rows", "Pieces predicted, by path.", ("path",), registry=self._registry)
        # Their children are few, since routes are, and looking them up takes longer than counting.
        self._requests, self._seconds, self._rows = cache(requests.labels), cache(seconds.labels), cache(rows.labels)
        genres = Counter("music_origin_genres", "Pieces predicted, by genre.", ("genre",), registry=self._registry)
        sides = Counter(
            "music_origin_sides",
            "Pieces predicted, by network and side of 20 degrees north.",
            ("network", "side"),
            registry=self._registry,
        )
        self._genres, self._sides = genres, sides
        self._predicted: dict[tuple[str, ...], Counter] = {}
        self._model_info = Gauge(
            "music_origin_model_info",
            "The models that answer are 1; those that did before are 0.",
            ("version", "data_sha256"),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._training_genres = Gauge(
            "music_origin_training_genre_share",
            "Share of each genre in the pieces that the models that answer were trained on.",
            ("genre",),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._training_north = Gauge(
            "music_origin_training_north_share",
            "Share of the pieces that the models that answer were trained on that come from north of 20 degrees north.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._reloads = Counter(
            "music_origin_reloads",
            "Loads of another bundle, done or refused because it was not sound.",
            ("outcome",),
            registry=self._registry,
        )
        for outcome in OUTCOMES:
            self._reloads.labels(outcome)  # from zero on, or Prometheus would miss the first
        self._reload_refused = Gauge(
            "music_origin_reload_refused",
            "Whether the bundle that was last to be loaded was refused: 1, until one is found sound.",
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._served: Gauge | None = None
        self._most_genres = 0  # of any bundle so far
        self.serve(bundle)

    def serve(self, bundle: ModelBundle) -> None:
        """Says that it is this bundle that answers from now on."""
        self._predicted |= {(str(genre),): self._genres.labels(genre) for genre in range(len(bundle.manifest.genres))}
        self._predicted |= {(name, side): self._sides.labels(name, side) for name in bundle.networks for side in SIDES}
        if self._served:
            self._served.set(0)
        self._served = self._model_info.labels(bundle.version, bundle.manifest.data_sha256)
        self._served.set(1)
        self._tell_training(bundle.manifest)

    def _tell_training(self, manifest: Manifest) -> None:
        """Says what share of the training pieces was what. Genres of earlier bundles only have a share of 0."""
        shares = [genre.size / manifest.rows for genre in manifest.genres]
        self._most_genres = max(self._most_genres, len(shares))
        for genre, share in zip_longest(range(self._most_genres), shares, fillvalue=0):
            self._training_genres.labels(genre).set(share)
        self._training_north.set(manifest.rows_north_of_20 / manifest.rows)

    def count_reload(self, outcome: str) -> None:
        """Counts a bundle that was loaded anew: `done`, or `refused`."""
        self._reloads.labels(outcome).inc()
        self._reload_refused.set(outcome == "refused")

    def find_unchanged(self) -> None:
        """Says that the bundle that was to be loaded is the one that answers, and so a sound one."""
        self._reload_refused.set(0)

    def start_request(self) -> None:
        """Counts a request as in flight."""
        self._in_flight.inc()

    def end_request(self) -> None:
        """Counts a request as no longer in flight."""
        self._in_flight.dec()

    def count(self, answered: Sequence[Answered]) -> None:
        """Counts requests that have been answered. Their routes are few, and so are the labels."""
        increments: defaultdict[Counter, int] = defaultdict(int)
        observed: defaultdict[Histogram, list[float]] = defaultdict(list)
        for method, _, route, status, seconds, state in answered:
            if method not in METHODS:
                method = "other"
            increments[self._requests(route, method, status)] += 1
            observed[self._seconds(route, method)].append(seconds)
            if rows := state.get("rows"):
                increments[self._rows(route)] += rows
                for labels, predicted in state.get("predicted", {}).items():
                    increments[self._predicted[labels]] += predicted
        for counter, increment in increments.items():
            counter.inc(increment)
        for histogram, amounts in observed.items():
            observe_all(histogram, amounts)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """All figures, in the form that the Accept header asks for, and its media type."""
        from prometheus_client import CollectorRegistry, exposition
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if folder := os.environ.get(SHARED_FOLDER):
            _forget_the_dead(Path(folder))
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        try:
            encode, media_type = exposition.choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no number
            encode, media_type = exposition.choose_encoder("")
        return encode(registry), media_type


def observe_all(histogram: "Histogram", amounts: Sequence[float]) -> None:
    """Does what `histogram.observe` does, once for all: between workers each step is a write to a shared file."""
    buckets = [bisect_left(SECONDS, amount) for amount in amounts]
    histogram._sum.inc(sum(amounts))
    for bucket in {*buckets}:
        histogram._buckets[bucket].inc(buckets.count(bucket))


def _share_between_workers() -> None:
    """Names a folder that all workers of one server share, and no other server: by the key that its processes share.

    Raises SharedFolderError.
    """
    if SHARED_FOLDER not in os.environ:
        server = hashlib.sha256(multiprocessing.current_process().authkey).hexdigest()[:16]
        try:
            folder = Path(tempfile.gettempdir()) / f"music-origin-metrics-{server}"
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SharedFolderError(
                f"Workers share their metrics in a folder under /tmp, which cannot be had ({error.strerror}): in a "
                "container, add --tmpfs /tmp"
            ) from error
        os.environ[SHARED_FOLDER] = str(folder)


def _forget_the_dead(folder: Path) -> None:
    """A worker that was killed has no requests in flight; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            pass
