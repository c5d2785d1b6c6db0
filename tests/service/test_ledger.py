"""What is answered in a turn is booked together, in the next."""

import asyncio
from typing import Any

from service.ledger import Answered, Ledger


def answered(number: int) -> Answered:
    return Answered({"number": number}, "/genre", 200, 0.001)


def test_a_turn_is_booked_at_once_in_every_book() -> None:
    first: list[Any] = []
    second: list[Any] = []

    async def main() -> None:
        ledger = Ledger(first.append, second.append)
        ledger.enter(answered(1))
        ledger.enter(answered(2))
        assert first == []
        await asyncio.sleep(0)
        ledger.enter(answered(3))
        ledger.settle()
        ledger.enter(answered(4))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert first == second
    assert [[each.scope["number"] for each in book] for book in first if book] == [[1, 2], [3], [4]]
