"""What is answered is booked together, a little later."""

import asyncio
from typing import Any

from service.ledger import SETTLING_SECONDS, Answered, Ledger


def answered(number: int) -> Answered:
    return Answered("POST", b"/genre", "/genre", 200, 0.001, {"number": number})


def test_what_is_answered_is_booked_together_in_every_book() -> None:
    first: list[Any] = []
    second: list[Any] = []

    async def main() -> None:
        ledger = Ledger(first.append, second.append)
        ledger.enter(answered(1))
        await asyncio.sleep(0)
        ledger.enter(answered(2))
        assert first == []
        while not first:
            await asyncio.sleep(0)
        ledger.enter(answered(3))
        ledger.settle()
        ledger.enter(answered(4))
        while len(first) < 3:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 60))
    assert first == second
    assert [[each.state["number"] for each in book] for book in first] == [[1, 2], [3], [4]]


def test_nothing_is_booked_twice_or_for_nothing() -> None:
    books: list[Any] = []

    async def main() -> None:
        ledger = Ledger(books.append)
        ledger.enter(answered(1))
        ledger.settle()
        ledger.settle()
        await asyncio.sleep(3 * SETTLING_SECONDS)

    asyncio.run(main())
    assert len(books) == 1
