"""What was answered is counted and logged together, once the replies are out."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.types import Scope


class Answered(NamedTuple):
    """A request that has been answered; `route` is the path that it was found by."""

    scope: Scope
    route: str
    status: int
    seconds: float


class Ledger:
    """Takes down what is answered in a turn of the event loop and books it in the next: no reply waits for that."""

    def __init__(self, *books: Callable[[Sequence[Answered]], None]) -> None:
        self._books = books
        self._answered: list[Answered] = []

    def enter(self, answered: Answered) -> None:
        """Takes down one request."""
        if not self._answered:
            asyncio.get_running_loop().call_soon(self.settle)
        self._answered.append(answered)

    def settle(self) -> None:
        """Books what was taken down."""
        answered, self._answered = self._answered, []
        for book in self._books:
            book(answered)
