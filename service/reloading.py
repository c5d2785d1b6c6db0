"""The models that answer: loaded at the start, and again when another bundle has taken the place of the first."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np

from models.archive import BundleError, load_bundle
from models.bundle import ModelBundle
from models.pieces import PiecePredictor
from service.logs import LOG
from service.metrics import Metrics
from service.schemas import EXAMPLE_FEATURES

LOOK_SECONDS = 1.0


class Models(NamedTuple):
    """A bundle, and the same folded for one piece at a time."""

    bundle: ModelBundle
    pieces: PiecePredictor


def load_models(path: Path) -> Models:
    """Loads a bundle and makes one prediction of each kind, so that no request waits for what is set up on first use.

    Raises BundleError.
    """
    bundle = load_bundle(path)
    models = Models(bundle, PiecePredictor(bundle))
    warm_up(models)
    return models


def warm_up(models: Models) -> None:
    """Makes one prediction of each kind."""
    bundle, pieces = models
    piece = np.array(EXAMPLE_FEATURES)
    pieces.genre(piece)
    bundle.predict_genres(piece[None, :])
    for network in bundle.networks:
        pieces.north_of_20(network, piece)
        bundle.north_of_20(network, piece[None, :])
    bundle.places.origins(pieces.places(piece)[None, :])


class Reloading:
    """Loads the bundle anew at SIGHUP, and if it is watched when its file has changed; keeps the old one if it must."""

    def __init__(self, path: Path, *, watch: bool) -> None:
        self._path = path
        self._watch = watch
        self._asked = asyncio.Event()
        self._seen = _stamp(path)
        self.models = load_models(path)

    @contextmanager
    def going_on(self, swap: Callable[[Models], None], metrics: Metrics) -> Iterator[None]:
        """Hands on sound models while this lasts, in the event loop, so that each request has the old or the new."""
        task = asyncio.get_running_loop().create_task(self._go_on(swap, metrics))
        try:
            with self._asked_by_sighup():
                yield
        finally:
            task.cancel()

    @contextmanager
    def _asked_by_sighup(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGHUP"):
            yield
            return
        loop = asyncio.get_running_loop()

        def ask(_: int, __: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._asked.set)

        before = signal.signal(signal.SIGHUP, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)

    async def _go_on(self, swap: Callable[[Models], None], metrics: Metrics) -> None:
        while True:
            await self._wait()
            version = self.models.bundle.version
            try:
                models = await asyncio.to_thread(load_models, self._path)
                if models.bundle.version == version:
                    metrics.find_unchanged()
                    LOG.info("Model version %s answers already.", version)
                    continue
                swap(models)
                metrics.serve(models.bundle)
            except BundleError as error:
                metrics.count_reload("refused")
                LOG.error("%s. Model version %s goes on answering.", error, version)
            except Exception:
                metrics.count_reload("refused")
                LOG.exception("The models of %s fail. Model version %s goes on answering.", self._path, version)
            else:
                self.models = models
                metrics.count_reload("done")
                LOG.info("Model version %s answers in the place of %s.", models.bundle.version, version)

    async def _wait(self) -> None:
        """Waits until the bundle is to be loaded again."""
        while not self._asked.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if self._watch else None):
                    await self._asked.wait()
            if self._watch and _stamp(self._path) != self._seen:
                break
        self._asked.clear()
        self._seen = _stamp(self._path)


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when the file does."""
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return ()
