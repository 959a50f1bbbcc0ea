"""A side effect is never repeated in silence, and nothing read below one is stale, whatever becomes of its run."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from compiler_nb import Compiler, History, ScriptedModel, tool
from compiler_nb.events import TaskApproved
from compiler_nb.outcome import Failure, is_lost
from compiler_nb.plan.task import owner_of
from tests.support.clock import run_virtually
from tests.support.scale import seed, times

if TYPE_CHECKING:
    from pathlib import Path

    from compiler_nb.run import Run

pytestmark = pytest.mark.promise
HOSTS = ("ann", "bob")
NAMES = ("a", "b", "c", "d", "e", "f", "g")


class World:
    """What tools change: payments, and hosts with a version each; and a planner that asks for that in many spellings.

    made: how often each call was begun, by its tool and arguments; plans: how often each plan asks for each.
    """

    def __init__(self, random: Random, scale: float) -> None:
        self.random, self.scale = random, scale
        self.made: Counter[tuple[Any, ...]] = Counter()
        self.versions = dict.fromkeys(HOSTS, 0)
        self.plans: dict[str, Counter[tuple[Any, ...]]] = {}

    @property
    def tools(self) -> list[Any]:
        """The tools; each takes a random time, and is cut off at a random moment."""

        async def wait() -> None:
            await asyncio.sleep(self.random.random() * self.scale)

        @tool(side_effects=True)
        async def pay(amount: int, to: str = "ann") -> int:
            """Pay."""
            self.made["pay", amount, to] += 1
            await wait()
            return amount

        @tool(side_effects=True)
        async def bump(host: str, by: int = 1) -> list[Any]:
            """Change a host."""
            self.made["bump", host, by] += 1
            if self.random.random() < 0.5:
                await wait()
            self.versions[host] += 1
            version = self.versions[host]
            await wait()
            return [host, version]

        @tool
        async def status(host: str) -> list[Any]:
            """Read a host's version."""
            version = self.versions[host]
            await wait()
            return [host, version]

        @tool(pure=True)
        async def same(x: object) -> object:
            """Return it."""
            await wait()
            return x

        return [pay, bump, status, same]

    def plan(self) -> str:
        """Return a plan that no earlier one is spelled like, and note what it asks for."""
        asked: Counter[tuple[Any, ...]] = Counter()
        lines = [f"# {len(self.plans)}", *(self.line(asked) for _ in range(self.random.randint(1, 6))), "join()", ""]
        text = "\n".join(lines)
        self.plans[text] = asked
        return text

    def line(self, asked: Counter[tuple[Any, ...]]) -> str:
        """Return a line of a plan."""
        choose, name = self.random.choice, self.random.choice(NAMES)
        kind, host, amount = (
            choose(["pay", "pay", "many", "bump", "status", "status", "same"]),
            choose(HOSTS),
            choose([2, 3]),
        )
        if kind == "pay":
            asked["pay", amount, host] += 1
            number = choose([f"{amount}", f"{amount - 1} + 1", f"same({amount})", f"[0, 0, 2, 3][{amount}]"])
            given = choose([f"{number}, '{host}'", f"amount={number}, to='{host}'", f"{number}, to='{host}'[:3]"])
            if host == "ann":
                given = choose([given, number, f"amount={number}"])
            return f"{name} = pay({given})"
        if kind == "many":
            amounts = [choose([2, 3]) for _ in range(self.random.randint(1, 3))]
            asked.update(("pay", each, host) for each in amounts)
            return f"{name} = [pay(n, '{host}') for n in {amounts}]"
        if kind == "bump":
            asked["bump", host, 1] += 1
            return f"{name} = bump({choose([repr(host), f'host={host!r}', f'{host!r}, 1', f'{host!r}, by=3 - 2'])})"
        if kind == "status":
            return f"{name} = status('{host}')"
        return f"{name} = same([status('{host}')])"

    def reply(self, request: Any) -> str:
        """Answer as a planner or a joiner."""
        if request.role == "joiner":
            return self.random.choice(["Replan: more", "Replan: more", "done"])
        return self.plan()


class Story:
    """One lineage: a question, and what becomes of it."""

    def __init__(self, random: Random, folder: Path | None) -> None:
        self.random, self.world = random, World(random, 1.0 if folder is None else 0.004)
        self.history = History(folder / "runs.db") if folder is not None else None
        self.granted: Counter[str] = Counter()
        self.runs: list[Run] = []

    def compiler(self) -> Compiler:
        """Return a compiler as another session would make it."""
        rule = self.random.choice([("pay", "bump"), ("pay", "bump"), "auto", "ask"])
        model = ScriptedModel(self.world.reply)
        return Compiler(model, self.world.tools, approve=rule, history=self.history, max_replans=2)

    async def perform(self, compiler: Compiler, order: Any) -> Run:
        """Perform an order; at times it is stopped, and at times a person is there."""

        async def ask(task: Any, shown: str) -> bool | str:
            await asyncio.sleep(0)
            return self.random.choice([True, True, False, "again"])

        asked = ask if self.random.random() < 0.3 else None
        run, work = compiler.begin(order, ask=asked)
        if self.random.random() < 0.4:
            delay = self.random.random() * 4 * self.world.scale
            asyncio.get_running_loop().call_later(delay, run.cancel)
        await work
        self.runs.append(run)
        self.check(run)
        return run

    async def tell(self) -> None:
        """Begin with a question, and go on with it in many ways."""
        compiler = self.compiler()
        await self.perform(compiler, compiler.order("What?"))
        for _ in range(self.random.randint(1, 4)):
            compiler, old = self.compiler(), self.random.choice(self.runs)
            if self.history is not None and self.random.random() < 0.7:
                old = self.history.load(old.id, compiler.settings.tools)
            planned = [id_ for each in old.rounds if each.plan is not None for id_ in each.plan.by_id]
            way = self.random.choice(["resume", "resume", "again", "failed", "start", "edited"])
            if way == "edited" or not planned:
                await self.perform(compiler, compiler.order(plan=self.world.plan(), source=old))
            elif way == "resume":
                await self.perform(compiler, compiler.order_resumed(old))
            else:
                start = self.random.choice(planned) if way == "start" else ""
                await self.perform(compiler, compiler.order_again(old, start, failed=way == "failed"))

    def check(self, run: Run) -> None:
        """See that what the run returned below a side effect is not from before it."""
        done, above = run.results, dict.fromkeys(HOSTS, 0)
        for each in run.rounds:
            for task in each.plan or ():
                value = done.get(task.id)
                if isinstance(value, list) and len(value) == 2 and value[0] in HOSTS:
                    if task.tool == "status":
                        assert value[1] >= above[value[0]], f"{task.id} is stale"
                    elif task.tool == "bump":
                        above[value[0]] = max(above[value[0]], value[1])
                elif task.tool == "same" and isinstance(value, list) and task.dependencies:
                    read = done[task.dependencies[0]]
                    assert value == [read], f"{task.id} is of another read"

    def asked_for(self) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
        """Return how often each call may have been made without a word, and how often it must have been at least."""
        most: Counter[tuple[Any, ...]] = Counter()
        least: Counter[tuple[Any, ...]] = Counter()
        for run in self.runs:
            for each in run.rounds:
                asked = self.world.plans.get(each.text, Counter())
                most |= asked
                if each.plan is None or len({task.line for task in each.plan}) < each.text.count("\n") - 2:
                    continue  # it broke off, or only a part of it is run again
                ids = [id_ for id_ in run.progress.tasks if (owner_of(id_) or id_) in each.plan.by_id]
                if not any(is_lost(run.progress.outcomes.get(id_, Failure("", ""))) for id_ in ids):
                    least |= asked
        return most, least

    def words(self) -> int:
        """Return how often a person said that a call is made."""
        return sum(
            type(event) is TaskApproved and event.approved and event.by == "user"
            for run in self.runs
            for event in run.events
        )


@pytest.mark.parametrize("stored", [False, True])
def test_no_side_effect_is_repeated_in_silence_and_no_read_is_stale(tmp_path, figure, stored):
    """1,000 random histories of replans, respellings, stops, resumes, reruns and edited plans."""
    count = times(100 if stored else 900)
    made = kept = 0
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        random = Random(seed() + number)
        story = Story(random, folder if stored else None)
        try:
            asyncio.run(story.tell()) if stored else run_virtually(story.tell())
            most, least = story.asked_for()
            more = story.world.made - most
            assert more.total() <= story.words(), f"repeated: {more}"
            assert not least - story.world.made, f"not made: {least - story.world.made}"
        except AssertionError as error:
            shown = "\n\n".join(
                f"{run.id} {run.status} {run.settings.approve}\n{each.text}"
                for run in story.runs
                for each in run.rounds
            )
            raise AssertionError(f"seed {seed() + number}: {error}\n{shown}") from error
        finally:
            if story.history is not None:
                story.history.close()
        made += story.world.made.total()
        kept += sum(end.how.startswith("not repeated") for run in story.runs for end in run.progress.ends.values())
    figure(f"{count:,} histories, {made:,} calls made, {kept:,} not repeated, 0 stale reads")
    assert kept > count / 2, "too little was asked for again to try anything"
