"""From what `compare` is given to a runner: everything is read and checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, Protocol

from compiler_nb.compare.cases import Case, read_cases
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.marks import grid_mark, mark_of
from compiler_nb.compare.purse import Purse, is_metered
from compiler_nb.compare.runner import Begun, GridRunner, Scorer
from compiler_nb.compare.store import InHistory, InMemory, Store
from compiler_nb.compare.variants import read_variants
from compiler_nb.engine.runners import PostToMain
from compiler_nb.models.connect import NO_MODEL
from compiler_nb.models.prices import price
from compiler_nb.outcome import Usage
from compiler_nb.settings.budget import Budget
from compiler_nb.settings.order import Order
from compiler_nb.settings.settings import Settings
from compiler_nb.signature.answers import AnswerType, answer_type_of
from compiler_nb.text import shorten_value

APPROVE: Final = ("deny", "auto")
AT_A_TIME: Final = 4
"""Runs of a grid that go on at a time."""


class Compiling(Protocol):
    """What a variant needs of its compiler."""

    settings: Settings

    def order(self, question: str, *, inputs: Mapping[str, Any] | None = None, answer_type: Any = None) -> Order:
        """Return the order to answer a question."""
        ...

    def begin(self, order: Order, *, main: PostToMain | None = None) -> Begun:
        """Return the run of an order, and the coroutine that performs it."""
        ...


class Answering:
    """A variant of a compiler, as a way to answer; see `Way`. wanted: what answers are to be, None if that is open."""

    def __init__(self, door: Compiling, main: PostToMain | None, wanted: AnswerType | None = None) -> None:
        self.door, self.main, self.wanted = door, main, wanted
        self.mark, self.grid = mark_of(door.settings, wanted), ""
        self.tools: Any = door.settings.tools
        self.shapes: dict[str, str] = {}

    def begin(self, case: Case, repetition: int) -> Begun:
        """Return a run that answers a question, and the coroutine that performs it."""
        order = self.door.order(case.question, inputs=case.inputs, answer_type=self.wanted)
        return self.door.begin(
            replace(order, shapes=self.shapes, grid=self.grid, repetition=repetition), main=self.main
        )

    def join(self, grid: str, purse: Purse) -> None:
        """Belong to the grid of this mark: all its runs know the same shapes, and ask its purse if that has a limit."""
        self.grid, self.shapes = grid, dict(self.door.order("").shapes)
        if is_metered(purse.limit):
            settings = self.door.settings
            self.door.settings = replace(settings, budget=purse.shares(settings.budget))


def prepare(
    make: Callable[[Mapping[str, Any]], Compiling],
    base: Settings,
    known: Mapping[str, Any],
    questions: Any,
    variants: Any,
    *,
    memory: InMemory,
    repeat: int = 1,
    score: Scorer | None = None,
    expected: Any = None,
    inputs: Any = None,
    max_concurrency: int = AT_A_TIME,
    budget: Budget | None = None,
    approve: Any = "deny",
    fresh: bool = False,
    answer_type: Any = None,
    main: PostToMain | None = None,
) -> GridRunner:
    """Return the runner of a grid, which has not begun.

    make: makes a compiler of its arguments; base, known: the settings and the arguments of the one that compares;
    memory: keeps cells if there is no history. Raises ValueError with all that is wrong.
    """
    problems = _wrong(repeat, max_concurrency, budget, approve, score)
    cases: list[Case] = []
    wanted: AnswerType | None = None
    with _noted(problems):
        cases = read_cases(questions, expected, inputs)
    with _noted(problems, "answer_type: "):
        wanted = answer_type_of(answer_type)
    read, wrong = read_variants(variants, base, known)
    purse = Purse(budget if isinstance(budget, Budget) else Budget())
    fixed = {"history": base.history, "limits": base.limits, "approve": approve}
    ways, unfit = _make_ways({each.name: {**each.arguments, **fixed} for each in read}, make, main, purse.limit, wanted)
    problems += wrong + unfit
    if problems:
        raise ValueError("\n".join(problems))
    mark = grid_mark([way.mark for way in ways.values()], cases)
    for way in ways.values():
        way.join(mark, purse)
    grid = Grid(cases, list(ways), repeat, wanted)
    if approve == "deny":
        grid.notes += _denied(ways.values())
    secrets = {id(each): each for way in ways.values() for each in way.door.settings.secrets}
    store: Store = memory if base.history is None else InHistory(base.history, secrets.values())
    return GridRunner(
        grid=grid, ways=ways, store=store, score=score, at_a_time=max_concurrency, purse=purse,
        seconds=purse.limit.seconds, fresh=fresh,
    )  # fmt: skip


@contextmanager
def _noted(problems: list[str], of: str = "") -> Iterator[None]:
    """Note what is wrong with one of the things that are given, and go on with the others."""
    try:
        yield
    except ValueError as error:
        problems += [of + each for each in str(error).split("\n")]


def _make_ways(
    variants: Mapping[str, Mapping[str, Any]],
    make: Callable[[Mapping[str, Any]], Compiling],
    main: PostToMain | None,
    limit: Budget,
    wanted: AnswerType | None,
) -> tuple[dict[str, Answering], list[str]]:
    """Return a way to answer for each variant, of its arguments by name, and what is wrong with them."""
    ways: dict[str, Answering] = {}
    problems = []
    for name, arguments in variants.items():
        try:
            ways[name] = Answering(make(arguments), main, wanted)
        except Exception as error:  # noqa: BLE001 - a model's own class may raise anything
            problems.append(f"variant {name!r}: {error}")
    silent = [name for name, way in ways.items() if way.door.settings.planner is None]
    if silent:  # it is long, so it is said once
        who = "" if len(silent) == len(variants) else f"variant {' and '.join(map(repr, silent))}: "
        problems.append(f"{who}{NO_MODEL}")
    first: dict[Any, str] = {}
    for name, way in ways.items():
        problems += _unpriced(name, way, limit)
        twin = first.setdefault(way.mark, name)
        if twin != name:
            problems.append(f"the variants {twin!r} and {name!r} have the same settings: leave one of them out")
    return ways, problems


def _wrong(repeat: Any, max_concurrency: Any, budget: Any, approve: Any, score: Any) -> list[str]:
    """Return what is wrong with the settings of a grid."""
    counts = {"repeat": repeat, "max_concurrency": max_concurrency}
    problems = [
        f"{name} must be a whole number from 1, not {shorten_value(value)}"
        for name, value in counts.items() if type(value) is not int or value < 1
    ]  # fmt: skip
    if not isinstance(budget, Budget | None):
        problems.append(f"budget must be a Budget, not {shorten_value(budget)}")
    elif budget is not None and budget.replans is not None:
        problems.append("a grid's budget has no replans: max_replans is a setting of a variant")
    if approve == "ask":
        problems.append(
            "approve='ask' asks for each run of a grid: give 'deny', or 'auto' to make side effects in each run"
        )
    elif approve not in APPROVE and (
        isinstance(approve, str) or not isinstance(approve, list | tuple | set | frozenset)
    ):
        problems.append(f"approve must be 'deny' or 'auto', or names of tools, not {shorten_value(approve)}")
    if score is not None and not callable(score):
        problems.append(f"score must be a function score(question, answer, expected), not {shorten_value(score)}")
    return problems


def _unpriced(name: str, way: Answering, limit: Budget) -> list[str]:
    """Return why a variant cannot answer within a budget in dollars."""
    settings = way.door.settings
    unpriced = {
        f"{each.provider}:{each.name}" for each in settings.roles.values()
        if limit.usd is not None and price(each.provider, each.name, Usage(1, 1, 1)) is None
    }  # fmt: skip
    return [f"variant {name!r}: no price is known for {each}: leave usd out of the budget" for each in sorted(unpriced)]


def _denied(ways: Iterable[Answering]) -> list[str]:
    """Return what is to be said of the side effects that a grid denies."""
    effects = {name for way in ways for name, tool in way.tools.items() if tool.side_effects}
    told = ", ".join(sorted(effects))
    return [f"side effects are denied in a grid: {told}; approve='auto' makes them in each run"] if effects else []
