"""How long a run holds the loop: a ticker beside it, and expressions that would hold it for minutes."""

from __future__ import annotations

import asyncio
import random
import re
import sys
import threading
import time
from collections import UserString, deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from compiler_nb import Compiler
from compiler_nb.tool import tool
from tests.support.desk import begin
from tests.support.expressions import random_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TICK = 0.001
ALIKE = sys.hash_info.modulus
"""The multiples of this number have one hash."""


@tool
async def same(value: Any) -> Any:
    """Give a value back."""
    return value


def inputs() -> dict[str, Any]:
    """Return values that make short expressions heavy."""
    chance = random.Random(1)
    return {
        "far": Decimal("1e2000000"),
        "huge": 7**400_000,
        "raw": bytes(1_250_000),
        "array": bytearray(1_000_000),
        "queue": deque([0] * 100_000),
        "own": UserString("x" * 1_000_000),
        "text": "x" * 5_000_000,
        "mixed": "aß" * 500_000,
        "ones": [1] * 1_000_000,
        "floats": [chance.random() for _ in range(1_000_000)],
        "words": [f"w{number}" for number in range(500_000)],
        "others": {f"w{number}" for number in range(400_000)},
        "table": {f"w{number}": number for number in range(400_000)},
        "pairs": {(number, number) for number in range(120_000)},
        "alike": [number * ALIKE for number in range(20_000)],
        "rows": [{"a": number, "b": "x"} for number in range(100_000)],
    }


ATTACKS = (
    # reproduced by an attacker's review
    "x = [0.5 in range(1000000) for i in range(20000)]",
    'x = "abc".startswith(("x",) * 1000000)',
    f"x = {{i * {ALIKE} for i in range(20000)}}",
    "x = set(alike)",
    "pairs_of = [(i, 1) for i in alike]\nx = dict(pairs_of)",
    "x = {i: same(1) for i in alike[:9000]}",
    "\n".join(f"x{number} = sum([i*i for i in range(24000)])" for number in range(120)),
    "x = int(far)",
    "x = far < huge",
    "a = raw + raw\nb = a + a\nc = b + b\nd = c + c\ne = d + d\nf = e + e\nx = f + f",
    "x = array * 2000",
    "x = queue * 100000",
    "x = own * 2000",
    "\n".join(f'x{number} = "\U0001f600" * 5000000' for number in range(20)),
    f"a = same({[number * 7 for number in range(2_000)]})\nx = [same(a) for i in range(100)]",
    # one call that takes long in C
    "x = str(floats)",
    "x = f'{rows}'",
    "x = {1: 2}[tuple(floats)]",
    "x = [[1]].index(floats)",
    "x = text.title()",
    "x = mixed.upper()",
    "x = text.strip('x') + text[::2]",
    "x = text.replace('x', 'yz')",
    "x = sorted(floats, reverse=True)",
    "x = sorted(floats, key=abs)",
    "x = sorted(floats[:500000], key=abs)",
    "x = sorted([[each] for each in floats[:100000]])",
    "x = list(zip(words, floats))",
    "x = dict(zip(words, floats))",
    "x = others == {f'w{i}' for i in range(200000)}",
    "x = others | set(words)",
    "x = len(pairs | {(i, -i) for i in range(100000)})",
    "x = table == dict(table)",
    "x = dict(table)",
    "x = rows == [dict(row) for row in rows[:40000]]",
    "x = max(rows[:100000], key=lambda row: row['a'])",
    "x = ','.join(words)",
    "x = sum(floats) + max(floats) + len(set(words))",
    "x = 7 in floats or floats.count(7)",
    "x = far in floats or floats.count(far)",
    "x = floats.index(far)",
)
"""Programs over the inputs, of which each line is short."""


async def longest_gap(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the longest time that the loop was held while something ran on it, and what came of that.

    A gap counts only as far as this process computed in it: what other processes take does not count.
    """
    gaps: list[float] = []

    async def tick() -> None:
        while True:
            wall, busy = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK)
            gaps.append(min(time.perf_counter() - wall, time.process_time() - busy))

    ticker = asyncio.ensure_future(tick())
    await asyncio.sleep(2 * TICK)
    found = await work()
    ticker.cancel()
    return max(gaps, default=0.0), found


async def gap_of_machine() -> float:
    """Return the longest gap beside a thread that only counts: what a loaded machine adds to everything."""
    over = threading.Event()

    def count() -> None:
        while not over.is_set():
            sum(range(100))

    threading.Thread(target=count, daemon=True).start()
    gap, _ = await longest_gap(lambda: asyncio.sleep(0.2))
    over.set()
    return gap


def perform(program: str, values: Mapping[str, Any], **options: Any) -> tuple[float, Any]:
    """Return how long a program held the loop, and its run."""
    named = {name: value for name, value in values.items() if name in program}
    return asyncio.run(longest_gap(lambda: Compiler(None, [same], **options).execute(program, inputs=named)))


def seconds_to_stop(program: str, values: Mapping[str, Any]) -> float:
    """Return how long a run takes to end after a stop."""

    async def main() -> float:
        named = {name: value for name, value in values.items() if name in program}
        run, work = begin(Compiler(None, [same]), plan=program, inputs=named)
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        run.cancel()
        await work
        return time.perf_counter() - began

    return asyncio.run(main())


def random_program(chance: random.Random) -> str:
    """Return a random expression over large values, by the forms of the tests of expressions."""
    text = random_expression(chance, 6)
    for name, large in LARGE.items():
        text = re.sub(rf"\b{name}\b", large, text)
    return f"answer({text})"


LARGE = {
    "n": "huge", "x": "far", "word": "text", "xs": "floats", "words": "words", "d": "table", "table": "rows",
}  # fmt: skip
"""What stands for the small values of those forms."""
