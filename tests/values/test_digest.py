"""Digests: equal content gives the same one, in every process; other content another one."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import functools
import os
import subprocess
import sys
import threading
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import attrs
import numpy as np
import pandas as pd
import pydantic
import pytest

from compiler_nb.tool import tool
from compiler_nb.values import digest as module
from compiler_nb.values.digest import Digests, content_of, digest, digest_call
from tests.support.scale import seed, times

ROOT = Path(__file__).parents[2]
T = typing.TypeVar("T")


@dataclass
class Order:
    """A dataclass."""

    to: str
    what: list = field(default_factory=list)

    @functools.cached_property
    def large(self) -> bool:
        """Whether it is large."""
        return len(self.what) > 3


@dataclass(frozen=True, slots=True)
class Point:
    """A dataclass with slots."""

    x: float
    y: float = 0.0


@attrs.define
class Parcel:
    """A class of attrs'."""

    to: str


class Form(pydantic.BaseModel):
    """A class of pydantic's."""

    to: str = "bob"
    _note: str = pydantic.PrivateAttr(default="")


class Box(pydantic.BaseModel, typing.Generic[T]):
    """A generic one."""

    what: T


class Pair(typing.NamedTuple):
    """A named tuple."""

    a: int
    b: int


class Basket(list):
    """A list with an owner."""

    def __init__(self, items: Any = (), owner: str = "") -> None:
        super().__init__(items)
        self.owner = owner

    def __iter__(self) -> Any:
        raise RuntimeError("no code of the class runs")


class Way(enum.Enum):
    """An enumeration."""

    POST = "post"
    MAIL = "mail"


class Opaque:
    """A class that declares nothing."""


def values() -> list[Any]:
    """Return values of which no two have the same content, made anew each time."""
    return [
        None, True, False, 0, 1, -1, 2**70, 0.5, float("inf"), float("nan"), 1j, "", "1", "a", "a" * 100, b"a",
        b"a" * 100, [], [1], [1, 1], [[1]], (), (1,), set(), {1}, {"a", "b"}, frozenset({1}), {}, {"a": 1},
        {"a": 2}, {1: "a"}, {"a": None}, {"a": {}}, ["x;str:y", "z"], ["y", "z;str:x"], ["a:b", "c"],
        ["a", "b:c"], ["ab"], ["a", "b"], range(3), range(0, 3, 2), OrderedDict(a=1, b=2),
        OrderedDict(b=2, a=1), defaultdict(list, a=[1]), Counter("aab"), deque([1]), Pair(1, 2), Order("bob"),
        Order("eve"), Order("bob", [1]), Point(1, 2), Point(2, 1), Parcel("bob"), Parcel("eve"), Form(),
        Form(to="eve"), Box[int](what=1), Box[list](what=[1]), Basket([1]), Basket([1], "bob"), Way.POST,
        Way.MAIL, Path("a"), Path("b"), dt.date(2026, 1, 5), dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        dt.timedelta(1), decimal.Decimal("1.5"), np.arange(3), np.arange(3.0), np.array(["a"], dtype=object),
        pd.Series([1, 2]), pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}), pd.DataFrame({"b": [1]}),
        pd.Timestamp(0), [Order("bob"), {"form": Form()}], {"a": [{1, 2}, (Way.POST,)]},
    ]  # fmt: skip


def test_equal_content_has_one_digest_and_no_other_content_has_it():
    """Values of every kind, made twice: sets, subclasses, objects of three kinds of classes, tables, texts."""
    first, again = [digest(value) for value in values()], [digest(value) for value in values()]
    assert first == again
    assert [each.loose for each in first if each.loose] == []
    assert len({each.text for each in first}) == len(first)


@pytest.mark.slow
def test_digests_are_the_same_in_every_process():
    """Whatever the seed of its hashes is."""
    code = "from tests.values.test_digest import *; print(*(digest(each).text for each in values()))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": each},
        ).stdout.replace("__main__", "")
        for each in ("1", "2")
    }
    assert told == {" ".join(digest(each).text for each in values()) + "\n"}


def test_what_python_calls_equal_numbers_and_what_a_library_calls_a_number_are_one():
    """2 and 2.0, and NumPy's; the order of a dict and of a set does not count, that of an OrderedDict does."""
    assert digest(2) == digest(2.0) == digest(np.int64(2)) == digest(np.float32(2)) != digest(True)
    assert digest("a") == digest(np.str_("a"))
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})


def test_what_an_object_worked_out_and_keeps_is_not_content():
    """Neither a cached property, nor which fields of a model were given, nor how a generic one was written."""
    order = Order("bob", [1])
    before = digest(order)
    assert order.large is False
    assert digest(order) == before
    assert digest(Form(to="bob")) == digest(Form())
    form = Form()
    form._note = "private"
    assert digest(form) != digest(Form())


@pytest.mark.parametrize(
    "make",
    [
        Opaque,
        object,
        threading.Lock,
        lambda: iter([1]),
        lambda: (x for x in [1]),
        lambda: len,
        lambda: Opaque,
        lambda: ValueError("x"),
    ],
)
def test_what_has_no_content_to_compare_says_so(make):
    """Alone, and within a list, a dict or an object; then which object it is counts."""
    one, other = make(), Opaque()
    for held in (one, [1, [one]], {"a": one}, Order("bob", [one]), Form.model_construct(to=one)):
        assert digest(held).loose.endswith(" has no content to compare")
        assert digest(held) == digest(held)
    assert digest([one]) != digest([other])
    assert digest([make(), other]).loose


@pytest.mark.slow
def test_what_is_too_large_or_changes_at_this_moment_says_so():
    """Nothing holds the loop for long, or breaks a run."""
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for large in (
        list(range(module.PARTS + 1)),
        "x" * (module.BYTES + 1),
        [["x" * 1_000] * 40_000],
        deep,
        np.zeros(module.BYTES // 8 + 1),
        {str(x): x for x in range(module.PARTS)},
    ):
        assert digest(large).loose.endswith(" is too large to compare")
        assert (
            digest(large).text
            == digest(large).text
            != digest(copy.copy(large[:1] if type(large) is str else [large])).text
        )
    twin: list[Any] = []
    for _ in range(200):
        twin = [twin, twin]
    assert digest(twin).loose.endswith("too large to compare")  # it is deep
    wide: list[Any] = []
    for _ in range(90):
        wide = [wide, wide]
    assert digest(wide).loose == ""  # 2 to the power of 90 paths, and 90 lists


def test_what_holds_itself_has_a_digest():
    """A list in itself, and a dict in the list that it holds."""
    loops = []
    for _ in range(2):
        one: list[Any] = [1]
        one.append(one)
        two: dict[str, Any] = {"a": [1]}
        two["a"].append(two)
        loops.append([one, two])
    assert digest(loops[0]) == digest(loops[1])
    assert digest(loops[0][0]) != digest(loops[0][1])


def test_a_call_is_the_same_however_its_arguments_were_given():
    """By place or by name, with a default or without; another tool, argument or number of arguments is another call."""

    @tool
    def pay(to: str, amount: float = 1, *more: Any, note: object = None, **rest: Any) -> None:
        """Pay."""

    def called(*args: Any, **kwargs: Any) -> str:
        return digest_call(pay, args, kwargs).text

    assert called("bob", 2) == called(to="bob", amount=2) == called("bob", 1 + 1.0, note=None)
    assert called("bob") == called("bob", 1) == called("bob", amount=1, note=None)
    assert called("bob", 1, 2, a=1, b=2) == called("bob", 1, 2, b=2, a=1, note=None)
    others = [
        called("bob"),
        called("bob", 2),
        called("eve"),
        called("bob", 1, 2),
        called("bob", note=1),
        called("bob", x=1),
        called("bob", 1, (2,)),
        called("bob", 1, 2, 3),
        called(),
        digest_call(tool(name="send")(pay.function), ("bob",), {}).text,
    ]
    assert len(set(others)) == len(others)


def test_a_default_that_cannot_be_compared_does_not_spoil_the_call():
    """Only what is passed counts; the default itself, passed, counts as left out."""
    session = Opaque()

    @tool
    def get(url: str, session: object = session) -> None:
        """Get."""

    assert digest_call(get, ("a",), {}).loose == ""
    assert digest_call(get, ("a",), {"session": session}).text == digest_call(get, ("a",), {}).text
    assert digest_call(get, ("a",), {"session": Opaque()}).loose


@pytest.mark.promise
def test_no_two_contents_have_one_digest(figure):
    """Random values of plain data, in pairs that differ in one place: equal ones are equal, and these are not."""
    random = Random(seed())
    for number in range(times(3_000)):
        value = drawn(random, 4)
        same = copy.deepcopy(value)
        assert digest(value) == digest(same), number
        other = drawn(random, 4)
        assert (digest(value).text == digest(other).text) == (canonical(value) == canonical(other)), (value, other)
    figure(f"{times(3_000):,} pairs of values: 0 wrong")


def drawn(random: Random, depth: int) -> Any:
    """Return a random value; small ones come often, so that equal ones do, too."""
    if depth == 0 or random.random() < 0.4:
        return random.choice([None, True, 0, 1, 1.5, "", "a", "a;b", '"', "1:", b"a", dt.date(2026, 1, 5)])
    size = random.randrange(3)
    items = [drawn(random, depth - 1) for _ in range(size)]
    keys = random.sample(["a", "b", "", "1", 1, None], size)
    made = [list, tuple, lambda x: dict(zip(keys, x, strict=True)), lambda x: Order("a", x), lambda x: set(keys)]
    return random.choice(made)(items)


def test_several_digests_have_one_bound():
    """Equal values have the digest that they have alone; what comes after the bound counts as too large."""
    digests = Digests(parts=30)
    assert digests.of([1, 2, 3]) == digest([1, 2, 3])
    assert digests.of(list(range(99))).loose == "list is too large to compare"
    assert digests.of([1, 2, 3]).loose == "list is too large to compare"


def canonical(value: Any) -> Any:
    """Return what tells a value from all others, written in another way than a digest."""
    match value:
        case list() | tuple():
            return type(value).__name__, [canonical(each) for each in value]
        case dict():
            return "dict", sorted((repr(key), repr(canonical(each))) for key, each in value.items())
        case set():
            return "set", sorted(map(repr, value))
        case Order():
            return "order", value.to, canonical(value.what)
    return type(value).__name__, value


def test_an_exact_digest_knows_how_long_a_deque_may_get_and_what_a_dict_makes():
    """Code may ask for both; a factory of the user's own has no content."""
    assert content_of(deque([1], maxlen=1)) != content_of(deque([1], maxlen=2))
    assert content_of(deque([1])) == content_of(deque([1]))
    assert content_of(defaultdict(int)) != content_of(defaultdict(list))
    assert content_of(defaultdict(int)) == content_of(defaultdict(int))
    assert content_of(defaultdict(lambda: 0)).loose
