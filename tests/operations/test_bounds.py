from __future__ import annotations

import array
import enum
import itertools
import json
import subprocess
import sys
import time
from collections import UserString, deque
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import BOUNDS, ITEMS, Account, Bounds, Heavy, Scope
from compiler_nb.operations.weights import short
from compiler_nb.plan.evaluate import evaluate
from tests.support.clock import run_virtually
from tests.support.expressions import parse, value_of
from tests.support.session import perform

COVERS = ("functions.py", "operators.py", "weights.py")
ROOT = Path(__file__).parents[2]
FAST = 2.0
"""Seconds that no expression may take, however much it wants to make."""
SHARE = 10
"""A share of the steps is tried, in that share of the time: what takes too long for a step is seen all the same."""


class Liar(list):
    """A list that says that it is short."""

    __slots__ = ()

    def __len__(self):
        return 0


class Endless(list):
    """A list that never ends."""

    __slots__ = ()

    def __iter__(self):
        return itertools.count()


class Growing:
    """Gives one more item with each that is taken."""

    def __init__(self):
        self.items = [1]

    def __iter__(self):
        for item in self.items:
            self.items.append(item)
            yield item


class Unreadable:
    """Raises where it is written."""

    def __repr__(self):
        raise RuntimeError("bitten")


def nest(kind, leaf, levels, times=1):
    """Return a container in a container, so many levels deep, each holding the one below so many times."""
    for _ in range(levels):
        leaf = kind([leaf] * times)
    return leaf


MONSTERS = {
    "wide": 10**9,
    "spec": "0" * 29 + "1" + "0" * 9,
    "text": "x" * 5_000_000,
    "xs": [0] * 1_000_000,
    "huge": 7**400_000,
    "half": 7**200_000,
    "third": Fraction(1, 3),
    "ten": enum.IntEnum("Number", {"TEN": 10}).TEN,
    "big": enum.IntEnum("Number", {"BIG": 10**9}).BIG,
    "liar": Liar([0] * 100_000),
    "count": itertools.count(10),
    "endless": Endless(),
    "growing": Growing(),
    "dag": nest(list, "leaf", 60, 2),
    "same": nest(list, "leaf", 60, 2),
    "twin": nest(tuple, "leaf", 60, 2),
    "flat": tuple(range(500_000)),
    "deep": nest(tuple, "leaf", 200_000),
    "prefixes": ("x",) * 1_000_000,
    "alike": {number * sys.hash_info.modulus for number in range(6_000)},
    "hashes": [number * sys.hash_info.modulus for number in range(6_000)],
    "pairs": [(number * sys.hash_info.modulus, 1) for number in range(6_000)],
    "long": [0] * 3_000_000,
    "far": Decimal("1e2000000"),
    "farther": Decimal("1e20000000"),
    "fine": Fraction(10**4_000, 10**3_999 + 1),
    "raw": bytes(6_000_000),
    "array": bytearray(6_000_000),
    "queue": deque([0] * 600_000),
    "own": UserString("x" * 6_000_000),
    "numbers": array.array("d", [0.0]),
}
"""Values that take more than a kernel has where they are compared, hashed, read or written without a bound."""


EXPLODING = [
    ("9 ** 9 ** 9 ** 9", "bits"),
    ("10 ** 5000", "bits"),
    ("(10 ** 4000) * (10 ** 4000)", "bits"),
    ("'x' * 10 ** 9", "characters"),
    ("10 ** 9 * [0]", "items"),
    ("[x for x in range(10 ** 9)]", "items"),
    ("[1 for a in range(1000) for b in range(1000)]", "steps"),
    ("[[[0 for a in range(100)] for b in range(100)] for c in range(100)]", "steps"),
    ("list(range(10 ** 12))", "items"),
    ("1.5 in range(10 ** 12)", "items"),
    ("sum(range(10 ** 12))", "items"),
    ("max(range(10 ** 9), key=lambda x: -x)", "items"),
    ("sorted(range(500000), key=lambda x: -x)", "steps"),
    ("sorted(xs, key=abs)", "items to sort"),
    ("f'{1:{wide}}'", "width"),
    ("f'{1.5:.{wide}f}'", "width"),
    ("round(12345, -100000)", "digits"),
    ("('a' * 1000000).replace('a', 'b' * 1000)", "characters"),
    ("('b' * 1000000).join(['a'] * 1000)", "characters"),
    ("sum([['x'] * 1000 for i in range(2000)], [])", "bytes"),
    ("''.join('x' * 1000 for i in range(20000))", "characters"),
    ("['x' * 1000000 for i in range(20000)]", "bytes"),
    ("[t.upper() for t in ['x' * 900000] for i in range(9000)]", "steps"),
    ("[t[1:] for t in [[0] * 1000000] for i in range(9000)]", "bytes"),
    ("[i in t for t in [[0] * 1000000] for i in range(9000)]", "steps"),
    ("[t == u for t in [[0] * 1000000] for u in [[0] * 1000000] for i in range(9000)]", "steps"),
    ("[d.items() for d in [{i: 0 for i in range(9000)}] for i in range(20000)]", "bytes"),
    ("len(('x ' * 2000000).split())", "items"),
    ("str(dag)", "items to be written"),
    ("f'{dag}'", "items to be written"),
    ("f'{dag!r}'", "items to be written"),
    ("'' + f'{text}{text}{text}'", "characters"),
    ("[''.join([text]) for i in range(20000)]", "bytes"),
    ("[('a' * 1000).replace('a', 'b' * 4000) for i in range(20000)]", "bytes"),
    ("[('xy ' * 300000).split() for i in range(100)]", "bytes"),
    ("[list(text[:999999]) for i in range(100)]", "bytes"),
    ("text.strip('y' * 4000000 + 'x')", "steps"),
    ("int('1' * 5000000, 2)", "digits"),
    ("int('9' * 17000, 16) * 1", "bits"),
    ("[huge + i for i in range(30000)]", "bits"),
    ("huge // half", "bits"),
    ("huge % half", "bits"),
    ("sum([huge] * 1000000)", "bits"),
    ("third ** 100000", "digits"),
    ("ten ** 100000", "bits"),
    ("'x' * big", "characters"),
    ("('ab', 1) * big", "items"),
    ("liar * 1000", "items"),
    ("f'{1:{spec}}'", "width"),
    ("9 in count", "used up"),
    ("sum(count)", "used up"),
    ("[x for x in endless]", "steps"),
    ("max(endless)", "items"),
    ("sorted(growing)", "items"),
    ("dag == same", "in one go"),
    ("dag < same", "in one go"),
    ("dag != same or 1", "in one go"),
    ("max(dag, same)", "in one go"),
    ("sorted([dag, same])", "in one go"),
    ("max([1, 2], key=lambda x: dag)", "in one go"),
    ("max([1, 2], key={1: dag, 2: same}.get)", "in one go"),
    ("[dag].index(same)", "in one go"),
    ("[dag].count(same)", "in one go"),
    ("same in [dag]", "in one go"),
    ("text[1:] + 'x' in [text[1:] + 'y'] * 1000000", "steps"),
    ("([xs] * 100000).count([0] * 1000000)", "in one go"),
    ("{twin}", "in one go"),
    ("{twin: 1}", "in one go"),
    ("{1: 2}[twin]", "in one go"),
    ("{1: 2}.get(twin)", "in one go"),
    ("twin in {1: 2}", "in one go"),
    ("{x for x in [twin]}", "in one go"),
    ("{x: 1 for x in [twin]}", "in one go"),
    ("set([twin])", "in one go"),
    ("dict([(twin, 1)])", "in one go"),
    ("{twin} - {1}", "in one go"),
    ("[{1: 2}.get(flat) for i in range(30000)]", "steps"),
    ("{deep}", "nests"),
    ("{1: 2}.get(deep)", "nests"),
    ("deep == deep[:1]", "nests"),
    ("['abc'.startswith(prefixes) for i in range(1000)]", "steps"),
    ("[third in range(1000000) for i in range(20000)]", "steps"),
    ("alike == set(list(alike))", "same hash"),
    ("{x: 1 for x in alike}", "same hash"),
    ("alike - {1}", "same hash"),
    ("int(far)", "bits"),
    ("round(far)", "bits"),
    ("f'{farther:f}'", "characters"),
    ("raw + raw", "characters"),
    ("array + array", "characters"),
    ("array * 10 ** 9", "characters"),
    ("queue * 10 ** 9", "items"),
    ("queue + queue", "items"),
    ("own * 10 ** 9", "characters"),
    ("own + own", "characters"),
    ("numbers * 10 ** 9", "items"),
    ("sum([array] * 1000, array)", "characters"),
    ("fine * fine", "bits"),
    ("[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] for i in range(900000)]", "steps"),
    ("[7 ** 4000 + i for i in range(300000)]", "bytes"),
    ("zip(xs, xs, xs, xs, xs, xs, xs, xs, xs, xs, xs, xs, xs, xs, xs)", "bytes"),
    ("text.title()", "change the case"),
    ("str(xs[:60000])", "items to be written"),
    ("{1: 2}[flat]", "items to be written"),
    ("[[1]].index(flat)", "items to be written"),
    ("dict(pairs)", "same hash"),
    ("set(hashes)", "same hash"),
    ("{x for x in hashes}", "same hash"),
    ("set(flat[:450000]) == set(flat[1:450001])", "one go"),
    ("far + huge", "bits"),
    ("far < huge", "bits"),
    ("far in range(1000000)", "steps"),
    ("long[1:]", "items"),
    ("long.index(1)", "items"),
    ("1 in long", "items"),
    ("list(enumerate(xs))", "items"),
    ("set(range(1000000))", "members"),
]
"""Expressions, and what the error tells of the bound."""


MEASURE = """
import gc, json, time
from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Account, Bounds, Scope
from compiler_nb.plan.evaluate import evaluate
from tests.operations.test_bounds import EXPLODING, MONSTERS, SHARE
from tests.support.expressions import parse
from tests.support.memory import peak_kilobytes
gc.freeze()  # the monsters take long to look through
before, found = peak_kilobytes(), []
few = Bounds(steps=Bounds().steps // SHARE)
for text, told in EXPLODING:
    account = Account(few if told == "steps" else Bounds())
    tree, scope, message = parse(text, MONSTERS), Scope(MONSTERS, account=account), "no error"
    began = time.process_time()
    try:
        evaluate(tree, scope)
    except ExpressionError as error:
        message = str(error)
        error.__traceback__ = None  # its frames hold what was made
    found.append([text, told, message, time.process_time() - began, peak_kilobytes() - before])
print(json.dumps(found))
"""


@pytest.mark.slow
def test_what_would_be_too_large_is_refused_before_it_is_made():
    """Steps, sizes, digits, widths and depths are bounded: 2 s and 200 MB at most, and the error says to use a tool."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert [text for text, *_ in found] == [text for text, _ in EXPLODING]
    for text, told, message, seconds, kilobytes in found:
        assert told in message, text
        assert "use a tool" in message or told in ("width", "digits", "used up"), text
        assert seconds < (FAST / SHARE if told == "steps" else FAST), text
        assert kilobytes < 200_000, text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "last", "told"),
    [
        ("{0}{2} = [{0}{1}, {0}{1}]", "a60 == b60", "one go"),
        ("{0}{2} = ({0}{1}, {0}{1})", "{a60}", "one go"),
        ("{0}{2} = {{'x': {0}{1}, 'y': {0}{1}}}", "a60 != b60", "one go"),
        ("{0}{2} = " + "(" * 18 + "{0}{1}" + ",)" * 18, "{a60: 1}", "nests"),
        ("{0}{2} = {0}{1} + {0}{1}", "len(a60)", "a20 failed"),
        ("{0}{2} = {0}{1} * {0}{1}[0]", "len(a60)", "a20 failed"),
        ("{0}{2} = f'{{{0}{1}}}{{{0}{1}}}'", "len(a60)", "characters of text"),
    ],
)
def test_no_plan_of_expressions_blocks_the_loop(line, last, told):
    """Each line is harmless alone: what shares its parts, or nests, is bounded where it is compared or hashed."""
    lines = [line.format(name, number, number + 1) for name in "ab" for number in range(60)]
    program = "\n".join(["a0 = list(range(2, 3))", "b0 = list(range(2, 3))", *lines, f"z = {last}"])
    began = time.process_time()
    session = run_virtually(perform(program, []))
    assert time.process_time() - began < 3 * FAST  # a million steps, on a thread
    assert told in str(session.outcomes["z"])


@pytest.mark.slow
def test_what_is_large_but_within_bounds_is_done():
    """A list of a million items is sorted and summed, tens of thousands are looped over."""
    assert value_of("len(sorted(xs)) + sum(xs)", xs=[1] * ITEMS) == 2 * ITEMS
    assert len(value_of("[x + 1 for x in range(n)]", n=BOUNDS.steps // 4)) == BOUNDS.steps // 4


def test_a_look_up_in_a_large_set_or_dict_costs_little():
    """A filter by what is known already stays within the bounds."""
    known = set(range(ITEMS))
    assert (
        value_of("len([x for x in range(20000) if x in known or x in d])", known=known, d=dict.fromkeys(known))
        == 20_000
    )


def test_a_column_may_be_a_key_however_often_a_value_comes():
    """Gaps, numbers and pairs that occur a thousand times are one key each, and are compared only with themselves."""
    gap = float("nan")
    assert list(value_of("{x: 1 for x in xs}", xs=[gap, 2.5] * 1_000)) == [gap, 2.5]
    rows = [{"city": "Bern", "share": number % 2 / 2} for number in range(1_000)]
    assert len(value_of("{(r['city'], r['share']): r for r in rows}", rows=rows)) == 2
    assert value_of("dict(zip(xs, xs))", xs=[2**70] * 1_000) == {2**70: 2**70}


def test_short_shows_any_value_in_one_short_piece():
    """Whatever its repr does."""
    assert short("x" * 100) == f"{'x' * 60!r}…"
    assert short(Unreadable()) == "Unreadable"
    assert short([Unreadable()]) == "list of 1"
    assert short(10**5000) == "int"


def test_a_fraction_is_looked_for_in_a_range_of_any_length():
    """Python compares a float with each number; a plan filters twenty thousand of them."""
    assert value_of("len([i for i in range(20000) if i / 2 in range(1000000)])") == 10_000
    assert value_of("[0.5 in range(1000000), 2.0 in range(3), far in range(3), x in range(3)]", far=1e300, x=None) == [
        False,
        True,
        False,
        False,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("key", ["", ", key=lambda x: x % 7", ", key=str"])
def test_many_items_are_sorted_as_python_sorts_them(key, reverse):
    """In runs that are merged: equal items keep their order."""
    text = f"sorted(xs{key}, reverse={reverse})"
    xs = [number * 7_919 % 50_021 / 3 for number in range(50_000)]
    assert value_of(text, xs=xs) == eval(text)  # noqa: S307 - the tests' own text


@pytest.mark.parametrize("text", ["a b  c " * 9_000, "", " ", ",", "a,b,,c," * 9_000])
@pytest.mark.parametrize("separator", [None, ",", " "])
@pytest.mark.parametrize("limit", [-1, 0, 1, 20_000, 20_001, 10**9])
def test_a_long_text_is_split_as_python_splits_it(text, separator, limit):
    """In batches, with and without a separator and a limit."""
    assert value_of("text.split(separator, limit)", text=text, separator=separator, limit=limit) == text.split(
        separator, limit
    )


def test_an_expression_on_the_loop_stops_before_what_is_heavy():
    """It raises Heavy before the operation begins; one that is small is evaluated."""
    tree = parse("sorted(xs)", ["xs"])
    with pytest.raises(Heavy):
        evaluate(tree, Scope({"xs": [1] * 1_000_000}, inline=True))
    assert evaluate(tree, Scope({"xs": [2, 1]}, inline=True)) == [1, 2]


@pytest.mark.parametrize("name", [field.name for field in fields(Bounds)])
@pytest.mark.parametrize("value", [0, -1, "10", None, True, float("nan")])
def test_a_bound_is_a_number_above_zero(name, value):
    """The error names the bound."""
    with pytest.raises(ValueError, match=f"Bounds.{name} must be a number above 0"):
        Bounds(**{name: value})


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (Bounds(steps=100), "[i for i in range(1000)]"),
        (Bounds(bytes=10_000), "'x' * 20000"),
        (Bounds(run_bytes=10_000), "'x' * 20000"),
    ],
)
def test_an_error_names_the_bound_that_was_reached(bounds, text):
    """As a setting, which a user may raise."""
    (name,) = [field.name for field in fields(Bounds) if getattr(bounds, field.name) != getattr(BOUNDS, field.name)]
    with pytest.raises(ExpressionError, match=rf"\(Bounds.{name}\): use a tool"):
        evaluate(parse(text, ()), Scope({}, account=Account(bounds)))
