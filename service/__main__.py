"""The service as it is shipped: `python -m service`."""

import argparse
import signal
import sys
from contextlib import suppress

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service import logs
from service.settings import SettingsError, read_settings
from service.workers import Supervisor


def main() -> None:
    """Serves until it is told to stop."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the service is there to load its models anew
    options = vars(arguments().parse_args())
    try:
        drain_seconds = read_settings().drain_seconds
    except SettingsError as error:
        sys.exit(f"error: {error}")
    allow_many_connections()
    config = uvicorn.Config(
        "service.app:app",
        http="service.door:Door",
        ws="none",
        log_config=logs.configuration(),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **options,
    )
    if config.workers > 1:
        started = Supervisor(config, config.bind_socket(), drain_seconds).run()
    else:
        server = uvicorn.Server(config)
        with suppress(KeyboardInterrupt):
            server.run()
        started = server.started
    sys.exit(0 if started else STARTUP_FAILURE)


def arguments() -> argparse.ArgumentParser:
    """The command line. What the service does is set by its environment, and here only how it is reached."""
    parser = argparse.ArgumentParser(prog="python -m service", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 for all of this machine's")
    parser.add_argument("--port", type=port, default=8000, help="port to listen at; 0 for any that is free")
    parser.add_argument("--workers", type=positive, default=1, help="processes that answer")
    parser.add_argument("--root-path", type=path, default="", help="path at which a proxy has put the service")
    parser.add_argument("--backlog", type=positive, default=2048, help="connections that may wait to be accepted")
    parser.add_argument(
        "--timeout-keep-alive", type=positive, default=5, help="seconds after which an idle connection is closed"
    )
    parser.add_argument(
        "--timeout-graceful-shutdown",
        type=positive,
        default=8,  # a large batch takes less than one, and some may wait; docker stop kills after ten
        help="seconds after which a stop cuts requests off",
    )
    return parser


def port(text: str) -> int:
    """A number of a port. Raises ArgumentTypeError."""
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: it must be a whole number from 0 to 65535")
    return int(text)


def path(text: str) -> str:
    """A path from the root, or none. Raises ArgumentTypeError."""
    if text and not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} must begin with a slash")
    return text


def positive(text: str) -> int:
    """A whole number above zero. Raises ArgumentTypeError."""
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above zero")
    return int(text)


def allow_many_connections() -> None:
    """Raises the limit on open files to what the system allows: each connection is one."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
