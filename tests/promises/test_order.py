"""The promise of the order of side effects: what a plan does and reads is what Python does and reads line by line."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from compiler_nb.outcome import is_lost
from compiler_nb.tool import tool
from tests.support.clock import run_virtually
from tests.support.programs import TOOLS, Broken, Ledger, Store, broken, in_lines, random_program, sequentially
from tests.support.scale import seed, times
from tests.support.session import perform, states

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.promise


class Shop:
    """Tools that take a random time, over a state; what has side effects notes that nothing else is under way."""

    def __init__(self, random: Random, story: Story | None = None) -> None:
        self.store, self.random, ledger = Store(), random, Ledger()
        self.under_way: Counter[int] = Counter()  # side effects, by the mark of their line
        self.reads = 0
        self.overlaps: list[str] = []

        async def effect(what, key, value, mark):
            if self.reads or set(self.under_way) - {mark}:
                self.overlaps.append(f"line {mark} while {self.reads} read and {dict(self.under_way)} are under way")
            self.under_way[mark] += 1
            try:
                await self.wait()
                if story is not None and story.fails(mark, value if what == self.store.put else 0):
                    raise Broken(f"line {mark}")
                return what(key, value, mark)
            finally:
                self.under_way[mark] -= 1
                self.under_way += Counter()

        @tool(side_effects=True)
        async def swap(key, value, mark):
            return await effect(self.store.swap, key, value, mark)

        @tool(side_effects=True)
        async def put(key, value, mark):
            return await effect(self.store.put, key, value, mark)

        @tool
        async def total(key, number=0):
            self.reads += 1
            try:
                await self.wait()
                return self.store.total(key) + number % 2
            finally:
                self.reads -= 1

        @tool(pure=True)
        async def load(number, mark):
            await self.wait()
            if story is not None and story.fails(mark):
                raise Broken(f"line {mark}")
            return number * 3 + mark

        @tool
        async def keep(key, value):
            await self.wait()
            return ledger.keep(key, value)

        self.tools = [*map(self.pure, TOOLS), swap, put, total, keep, load]

    async def wait(self) -> None:
        """Take a random time."""
        await asyncio.sleep(self.random.choice([0, 0.001, self.random.random()]))

    def pure(self, name: str):
        """Return a tool that waits for nothing but its arguments."""

        async def call(*args):
            await self.wait()
            return broken(name, args, 0)

        return tool(name=name, pure=True)(call)


def test_side_effects_and_reads_keep_the_order_of_the_plan(figure):
    """1,000 random programs over a state, in random time: the same values, the same side effects, in the same order."""
    effects = 0
    for number in range(times(1_000)):
        random = Random(seed() + number)
        program = random_program(random, random.randint(2, 14), effects=True)
        expected = Store()
        values, _ = sequentially(program, store=expected)
        shop = Shop(random)
        options = {"max_concurrency": random.choice([1, 2, 8, 100]), "approve": "auto"}
        session = run_virtually(perform(program, shop.tools, **options))
        shown = f"seed {seed() + number}:\n{program}"
        nodes = session.schedule.nodes.items()
        given = {(node.task.line, node.task.name): session.outcomes[id_] for id_, node in nodes if id_.isidentifier()}
        assert in_lines(shop.store.made) == in_lines(expected.made), shown
        assert given == {place: values[place] for place in given}, shown
        assert not shop.overlaps, shown
        states(session)
        effects += len(shop.store.made)
    figure(f"{times(1_000):,} programs, {effects:,} side effects: 0 out of order, 0 stale reads")


# ------------------------------------------------------------------- failures and refusals

KINDS = {
    "load": "load({read}, {mark})",
    "total": "total('a', {read})",
    "more": "{read} + 1",
    "swap": "swap('a', {read}, {mark})",
    "guarded": "swap('a', {read}, {mark}) if {read} > 40 else 7",
    "many": "[put('a', x, {mark}) for x in range({read} % 4)]",
    "some": "[put('a', x, {mark}) if x % 2 else 0 for x in range({read} % 5)]",
}
"""Lines that read one name each, so that it is known why one has no value."""


class Story:
    """A random program, which calls of it fail, and which side effects a person denies, by the numbers of its lines."""

    def __init__(self, random: Random) -> None:
        self.lines: list[tuple[str, str]] = []
        for number in range(random.randint(3, 12)):
            names = [f"v{n}" for n in range(max(0, number - 4), number) if self.lines[n][0] not in ("many", "some")]
            self.lines.append((random.choice([*KINDS, "swap", "many"]), random.choice([*names, "50"])))
        marks = range(len(self.lines))
        self.broken = {mark for mark in marks if random.random() < 0.15}
        self.denied = {mark for mark in marks if random.random() < 0.15} - self.broken
        self.program = "".join(
            f"v{n} = {KINDS[kind].format(read=read, mark=n)}\n" for n, (kind, read) in enumerate(self.lines)
        )

    def fails(self, mark: int, item: int = 0) -> bool:
        """Whether a call fails; of a fan-out only some items do."""
        return mark in self.broken and item % 3 != 1

    def told(self) -> tuple[dict[str, object], Store]:
        """Return what each line gives, line by line, nothing if it has no value; and what was done."""
        store, values, stopped = Store(), {"50": 50}, False
        refused: set[str] = set()  # lines without a value because somebody said no
        for mark, (kind, read) in enumerate(self.lines):
            name, number = f"v{mark}", values.get(read, 0)
            items = {"swap": [0], "guarded": [0] * (number > 40), "many": range(number % 4),
                     "some": [x for x in range(number % 5) if x % 2]}.get(kind, [])  # fmt: skip
            if read not in values:
                if read in refused:
                    refused.add(name)
                elif kind not in ("load", "total", "more"):
                    stopped = True
            elif items and stopped:
                pass
            elif items and mark in self.denied:
                refused.add(name)
            elif kind == "load" and self.fails(mark):
                pass
            else:
                value = self.made(store, kind, number, mark, items)
                stopped = stopped or value is None
                values |= {} if value is None else {name: value}
        return values, store

    def made(self, store: Store, kind: str, number: int, mark: int, items: Sequence[int]) -> object:
        """Return what a line gives, None if one of its side effects fails."""
        if not items:
            return {"load": number * 3 + mark, "total": store.numbers["a"] + number % 2, "more": number + 1,
                    "guarded": 7, "many": [], "some": [0] * (number % 5)}[kind]  # fmt: skip
        if kind in ("swap", "guarded"):
            return None if self.fails(mark) else store.swap("a", number, mark)
        given = {x: store.put("a", x, mark) for x in items if not self.fails(mark, x)}
        return (
            [given.get(x, 0) for x in range(number % (4 if kind == "many" else 5))]
            if len(given) == len(items)
            else None
        )


def test_below_a_side_effect_that_failed_no_other_is_made_and_below_a_denied_one_all_are(figure):
    """1,000 random programs with failures and refusals: what is made, read and lost is what the rules say."""
    lost = 0
    for number in range(times(1_000)):
        random = Random(seed() + number)
        story = Story(random)
        shop = Shop(random, story)
        expected, store = story.told()

        async def ask(task, shown, denied=story.denied, random=random):
            await asyncio.sleep(random.choice([0, random.random()]))
            return task.line - 1 not in denied

        session = run_virtually(perform(story.program, shop.tools, approve="ask", ask=ask, max_concurrency=8))
        shown = f"seed {seed() + number}, broken {story.broken}, denied {story.denied}:\n{story.program}"
        ends = {id_: end for id_, end in session.outcomes.items() if id_.isidentifier()}
        assert in_lines(shop.store.made) == in_lines(store.made), shown
        assert {id_: end for id_, end in ends.items() if not is_lost(end)} == {
            name: value for name, value in expected.items() if name != "50"
        }, shown
        assert not shop.overlaps, shown
        states(session)
        lost += sum(map(is_lost, ends.values()))
    figure(f"{times(1_000):,} programs, {lost:,} lines without a value")
