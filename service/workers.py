"""Several processes that answer at one address, and the one that looks after them."""

import logging
import os
import signal
import socket
import time

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors.multiprocess import Process

from service.admission import LAST_SECONDS
from service.draining import ENDING_SECONDS
from service.sockets import take_no_connection

LOOK_SECONDS = 0.1
AGAIN_SECONDS = 1.0  # after which a worker that could not start is tried again
LOG = logging.getLogger("uvicorn.error")


class Worker(Process):
    """A process that answers requests, and a thread in it that answers whether it does."""

    to_reload = False

    def start(self) -> None:
        """Starts it."""
        super().start()
        self._heard = time.monotonic()

    def works(self, patience: float) -> bool:
        """Whether it lives, and has been heard of in so many seconds."""
        if self.process.is_alive() and self.ping(LOOK_SECONDS):
            self._heard = time.monotonic()
        return self.process.is_alive() and time.monotonic() - self._heard < patience

    def send(self, number: int) -> None:
        """Sends it a signal."""
        if self.pid and self.process.is_alive():
            os.kill(self.pid, number)

    def serves(self) -> bool:
        """Whether it answers requests by now."""
        return self.process.is_alive() and self.is_ready(LOOK_SECONDS)


class Supervisor:
    """Starts the workers, replaces one that has died, and hands on the signals that concern them.

    uvicorn's own ends with the first worker that cannot start, answers SIGHUP by new processes, and does not listen
    any more once it has been told to stop.
    """

    def __init__(self, config: Config, listener: socket.socket, drain_seconds: float) -> None:
        self._config = config
        self._listener = listener
        self._drain_seconds = drain_seconds
        self._signals: list[int] = []
        self._workers: list[Worker] = []

    def run(self) -> bool:
        """Looks after them until all have ended. Returns whether they could start."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._signals.append(number))
        self._workers = [self._start() for _ in range(self._config.workers)]
        started = self._look_after()
        self._end()
        return started

    def _start(self) -> Worker:
        worker = Worker(self._config, [self._listener])
        worker.start()
        return worker

    def _look_after(self) -> bool:
        """Keeps all workers alive until a signal ends them, or none can start."""
        while not {signal.SIGTERM, signal.SIGINT}.intersection(self._signals):
            self._hand_on_signals()
            for index, worker in enumerate(self._workers):
                if worker.to_reload and worker.serves():
                    worker.to_reload = False
                    worker.send(signal.SIGHUP)
                if worker.works(self._config.timeout_worker_healthcheck):
                    continue
                worker.kill()  # it may be there and hang
                worker.process.join()
                if worker.exitcode == STARTUP_FAILURE:
                    if not any(other.serves() for other in self._workers):
                        return False
                    time.sleep(AGAIN_SECONDS)
                LOG.error("Worker %s has ended; another takes its place.", worker.pid)
                self._workers[index] = self._start()
            time.sleep(LOOK_SECONDS)
        return True

    def _end(self) -> None:
        """Has the workers end, and takes no more connections towards the end of that; another signal ends them now."""
        if not self._signals:
            self._signals.append(signal.SIGTERM)
        last = time.monotonic() + self._drain_seconds - LAST_SECONDS - ENDING_SECONDS
        taking = True
        while any(worker.process.is_alive() for worker in self._workers):
            self._hand_on_signals()
            if taking and time.monotonic() >= last:
                taking = False
                take_no_connection(self._listener.fileno())
            time.sleep(LOOK_SECONDS / 5)

    def _hand_on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            for worker in self._workers:
                if number == signal.SIGHUP:
                    worker.to_reload = True  # once it serves: before that, it would die of this signal
                else:
                    worker.send(number)
