"""What Prometheus is told: requests, their latency, rows, and what is predicted; summed over all workers."""

import hashlib
import multiprocessing
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import ModelBundle

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The instruments of one process, or of all workers together."""

    def __init__(self, bundle: ModelBundle) -> None:
        if multiprocessing.parent_process():
            _share_between_workers()
        # prometheus-client decides when it is imported whether it shares its values between processes.
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        if SHARED_FOLDER not in os.environ:
            ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "music_origin_requests",
            "Requests answered, by path, method and status.",
            ("path", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
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
        self._rows = Counter("music_origin_rows", "Pieces predicted, by path.", ("path",), registry=self._registry)
        genres = Counter("music_origin_genres", "Pieces predicted, by genre.", ("genre",), registry=self._registry)
        self._genres = [genres.labels(str(genre)) for genre in range(len(bundle.manifest.genres))]
        sides = Counter(
            "music_origin_sides",
            "Pieces predicted, by network and side of 20 degrees north.",
            ("network", "side"),
            registry=self._registry,
        )
        self._sides = {name: (sides.labels(name, "not north"), sides.labels(name, "north")) for name in bundle.networks}
        Gauge(
            "music_origin_model_info",
            "The models that answer.",
            ("version", "data_sha256"),
            registry=self._registry,
            multiprocess_mode="livemax",
        ).labels(bundle.version, bundle.manifest.data_sha256).set(1)

    def start_request(self) -> None:
        """Counts a request as in flight."""
        self._in_flight.inc()

    def end_request(self, path: str, method: str, status: int, seconds: float, rows: int) -> None:
        """Counts a request that has been answered; `path` is a route's, so that there are few."""
        method = method if method in METHODS else "other"
        self._in_flight.dec()
        self._requests.labels(path, method, str(status)).inc()
        self._seconds.labels(path, method).observe(seconds)
        if rows:
            self._rows.labels(path).inc(rows)

    def count_genres(self, genres: NDArray[np.intp]) -> None:
        """Counts predicted genres (n,)."""
        for genre, count in enumerate(np.bincount(genres).tolist()):
            if count:
                self._genres[genre].inc(count)

    def count_sides(self, network: str, north_of_20: NDArray[np.bool_]) -> None:
        """Counts predicted sides (n,)."""
        north = int(np.count_nonzero(north_of_20))
        for side, count in zip(self._sides[network], (len(north_of_20) - north, north), strict=True):
            if count:
                side.inc(count)

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


def _share_between_workers() -> None:
    """Names a folder that all workers of one server share, and no other server: by the key that its processes share."""
    if SHARED_FOLDER not in os.environ:
        server = hashlib.sha256(multiprocessing.current_process().authkey).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"music-origin-metrics-{server}"
        folder.mkdir(mode=0o700, exist_ok=True)
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
