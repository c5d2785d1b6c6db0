"""Several processes that answer at one address, and the one that looks after them."""

import logging
import os
import signal
import socket
import time
from contextlib import suppress

from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn.supervisors.multiprocess import Process

from service.admission import LAST_SECONDS
from service.draining import ENDING_SECONDS
from service.sockets import take_no_connection

LOOK_SECONDS = 0.1
AGAIN_SECONDS = 1.0  # after which a worker that could not start is tried again
KILL_SECONDS = 2.0  # for a worker to end when it is told to at once
LOG = logging.getLogger("uvicorn.error")


class TickingServer(Server):
    """A server that says when its event loop last went round."""

    ticked = 0.0

    async def on_tick(self, counter: int) -> bool:
        """Is called every tenth of a second."""
        self.ticked = time.monotonic()
        return await super().on_tick(counter)


class Worker(Process):
    """A process that answers requests, and a thread in it that answers whether it does.

    Of the two sides of a worker, `pong` and `always_pong` run in its own process, and the rest in the supervisor's.
    """

    _server: TickingServer | None = None
    serves = False
    replaces = False
    to_reload = False

    @property
    def server(self) -> TickingServer:
        """The worker's own server."""
        self._server = self._server or TickingServer(self.config)
        return self._server

    def pong(self) -> None:
        """Answers one question, unless the event loop is stuck."""
        self.child_conn.recv()
        running = self.server.started and not self.server.should_exit
        if not running or time.monotonic() - self.server.ticked < self.config.timeout_worker_healthcheck:
            self.child_conn.send(self.server.started)

    def always_pong(self) -> None:
        """Answers until nobody asks any more, and then ends the process: it would hold the port for nobody."""
        self.parent_conn.close()  # or else this process would go on hearing itself
        try:
            super().always_pong()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)

    def start(self) -> None:
        """Starts the process, which counts as heard of."""
        super().start()
        self._heard = time.monotonic()

    def works(self) -> bool:
        """Asks it how it is: whether it lives, and has answered not too long ago."""
        with suppress(OSError, EOFError):
            while self.parent_conn.poll():
                self.parent_conn.recv()  # an answer that came too late
        if self.process.is_alive() and (started := self._healthcheck(LOOK_SECONDS)) is not None:
            self._heard = time.monotonic()
            self.serves = self.serves or started
        return self.process.is_alive() and time.monotonic() - self._heard < self.config.timeout_worker_healthcheck

    @property
    def ending(self) -> str:
        """How it ended: by which signal, or with which status."""
        status = self.exitcode or 0
        return signal.Signals(-status).name if status < 0 else f"status {status}"

    def send(self, number: int) -> None:
        """Sends it a signal, if it lives."""
        if self.pid and self.process.is_alive():
            os.kill(self.pid, number)


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
                if worker.works():
                    self._have_reloaded(worker)
                elif not self._may_start_again(worker):
                    LOG.error("Worker %s could not start, and no other serves: this is the end.", worker.pid)
                    return False
                else:
                    LOG.error("Worker %s has ended (%s); another takes its place.", worker.pid, worker.ending)
                    self._workers[index] = self._start()
                    self._workers[index].replaces = True
            time.sleep(LOOK_SECONDS)
        return True

    def _have_reloaded(self, worker: Worker) -> None:
        """Hands on SIGHUP; also when a new worker has come, which has loaded what may be another bundle by now."""
        if worker.serves and worker.replaces:
            worker.replaces = False
            for other in self._workers:
                other.to_reload |= other is not worker
        if worker.serves and worker.to_reload:
            worker.to_reload = False
            worker.send(signal.SIGHUP)

    def _may_start_again(self, worker: Worker) -> bool:
        """Ends what is left of a worker. One that never served is to be tried again while another serves."""
        worker.kill()
        worker.process.join()
        if worker.serves:
            return True
        time.sleep(AGAIN_SECONDS)
        return any(other.works() and other.serves for other in self._workers if other is not worker)

    def _end(self) -> None:
        """Has the workers end, and takes no more connections towards the end of that; another signal ends them now."""
        if not self._signals:
            self._signals.append(signal.SIGTERM)
        begun = time.monotonic()
        last = begun + self._drain_seconds - LAST_SECONDS - ENDING_SECONDS
        killed = begun + self._drain_seconds + (self._config.timeout_graceful_shutdown or 0) + KILL_SECONDS
        taking, told = True, False
        while any(worker.process.is_alive() for worker in self._workers):
            now = time.monotonic()
            if self._signals:
                killed = min(killed, now + KILL_SECONDS) if told or signal.SIGINT in self._signals else killed
                told = True
                self._hand_on_signals()
            if taking and now >= last:
                taking = False
                take_no_connection(self._listener.fileno())
            if now >= killed:
                for worker in self._workers:
                    worker.send(signal.SIGKILL)
            time.sleep(LOOK_SECONDS / 5)

    def _hand_on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            for worker in self._workers:
                if number == signal.SIGHUP:
                    worker.to_reload = True  # once it serves
                else:
                    worker.send(number)
