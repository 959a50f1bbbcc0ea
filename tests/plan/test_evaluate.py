# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

import asyncio
import collections
import sys
from random import Random

import pytest

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Scope
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.expression import Item
from compiler_nb.plan.tree import Input, Ref
from tests.support.expressions import NAMES, error_of, parse, python_value, random_expression, same, value_of
from tests.support.scale import seed, times
from tests.support.witness import LOOKED_UP, Everywhere, Witness


def outcome_of(text: str):
    try:
        return value_of(text, **NAMES)
    except ExpressionError as error:
        return error


SAME = """
1 + 2 * 3 - 4 / 5 // 1 % 7 ** 2
-n ** 2, (-n) ** 2, +x, not n, - - n
n < 4 <= x, n == 3 != 4, 1 < 2 > 5, n is None, n is not None, 'a' in word, 9 not in xs
n and x, n and 0 and x, 0 or '' or xs, not (n or x), [] and xs[99]
'small' if n < 5 else 'large'
xs[0], xs[-1], xs[1:], xs[::-1], xs[:2], word[1:4:2], d['a'], table[1]['name'], xs[n - 1]
[1, (2, n), {'k': {n, 2}, word: [x]}], {n: 1, word: 2}, (n,), ()
{str([n]): 2, 'z': n}, {[n, x][0]: x, word: 1}, {len([1, n]), 2}, {len([1]): 1, len([2]): n}
f'{n:>5}|{x:.2f}|{word!r:^12}|{n:,}|{{}}|{x:{n}.1f}|' f'plain' 'x'
f'{n=}', f'{word!s:.2}', f'{word!a}', f'{d["a"]}', f'{xs}'
[v * 2 for v in xs if v % 2 if v > 1], {v: len(word) for v in xs}, {v % 2 for v in xs}
[(a, b) for a in xs for b in word if a > 2], [[v for v in w] for w in ['ab', 'c']], sum(v for v in xs)
[a + b for a, b in zip(xs, xs)], [k for k, (a, b) in enumerate(zip(xs, word))], {k: v for k, v in d.items()}
max(xs), min(xs), max(n, x), min(3, 1, 2), max([], default=0), max(d, key=d.get), min(words, key=len)
max(table, key=lambda row: row['size'])['name'], sorted(words, key=lambda w: (len(w), w), reverse=True)
sorted(d.items(), key=lambda p: -p[1])[:2], sorted(xs, reverse=True), sorted(words, key=None), sorted(words, key=str)
next(x for x in xs if x > 1), next((x for x in xs if x > 99), None), next(a for a in word)
sum(xs), sum(xs, 10), sum(xs, start=1.5), sum([[1], [2]], [])
len(word), abs(-x), round(x), round(x, 1), round(-15, -1)
list(reversed(xs)), list(zip(xs, word)), list(enumerate(word, 1)), list(range(2, 9, 3)), list(zip(xs, xs, strict=True))
any(v > 3 for v in xs), all([1, 0]), any([]), any(1 / v for v in [1, 0]), all(v < 1 and 1 / v for v in [2, 0])
str(x),
int('12'), int(x), int('ff', 16), float('1.5'), bool(xs), list(word), dict(d), dict([('a', 1)]), tuple(xs), set(word)
dict(a=1, key=2), dict(d, key=len(word)), str(), int(), list(), dict()
word.split('l'), ' a  b '.split(), 'a,b,c'.split(',', 1), ' x '.strip(), 'xxaxx'.strip('x')
word.lower(), word.upper()
'a b'.title(), '-'.join(words), word.replace('l', 'L'), word.replace('l', 'L', 1)
word.startswith('he'), word.endswith(('o', 'x'))
d.get('a'), d.get('zz'), d.get('zz', 0), list(d.keys()), list(d.values()), list(d.items()), xs.index(2), xs.count(1)
True + True, True * 3, 0.1 + 0.2, 7 // -2, -7 % 3, 2 ** -1, 1e3, 0xff, 1_000, 2 ** 0.5
word * 2, [0] * 3, 2 * word, xs + [9], word + 'x', (1,) + (2,), 'ab' < 'b', [1, 2] < [1, 3], (1, 'a') == (1, 'a')
None is None, 1.5 in range(3), 2 in range(3), range(5)[2], len(range(10)), range(3) == range(3)
[_ for _ in xs], [n for n in xs], [word for word in word], max((w for w in words), key=lambda n: n)
""".strip().splitlines()


@pytest.mark.parametrize("text", SAME)
def test_an_expression_has_pythons_own_value(text):
    """Every construct of the allow-list gives what Python gives, in value and in type."""
    assert same(value_of(text, **NAMES), python_value(text))


@pytest.mark.slow
def test_a_random_expression_has_pythons_own_value():
    """Random pure expressions: equal values, or both raise."""
    random = Random(seed())
    worked = 0
    for _ in range(times(3_000)):
        text = random_expression(random)
        try:
            expected = python_value(text)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SyntaxError):
            assert isinstance(outcome_of(text), ExpressionError), text
        else:
            ours = outcome_of(text)
            refused = "use an f-string" in str(ours)  # `%` of a text, which Python formats
            assert refused or same(ours, expected), text
            worked += 1
    assert worked > times(500)


def test_every_function_of_the_list_is_tried():
    """The table above names each function."""
    assert [name for name in FUNCTIONS if not any(f"{name}(" in line for line in SAME)] == []


# ------------------------------------------------------------------- values that bite


class Hostile:
    """Raises at whatever is done with it."""

    def _raise(self, *args):
        raise RuntimeError("bitten")

    __len__ = __iter__ = __bool__ = __eq__ = __lt__ = __add__ = __getitem__ = __format__ = __repr__ = __str__ = _raise
    __hash__ = None


@pytest.mark.parametrize(
    "text",
    ["len(h)", "[x for x in h]", "h and 1", "not h", "h == 1", "h < 1", "h + 1", "h[0]", "f'{h}'", "f'{h!r}'", "str(h)",
     "{h: 1}", "max([h, h])", "sum([h])", "1 if h else 2", "any(h)", "sorted([h, h])", "h.upper()", "{h}"],
)  # fmt: skip
def test_a_value_that_raises_gives_an_error_of_ours(text):
    """Whatever a tool's value does, it ends in an ExpressionError that names the part."""
    message = error_of(text, h=Hostile())
    assert "h" in message
    assert len(message) < 1_000


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, asyncio.CancelledError, RecursionError, MemoryError])
def test_whatever_a_value_raises_ends_in_an_error_of_ours(error):
    """Also what would end a thread or a loop; an interrupt alone gets through."""

    class Biting:
        def __add__(self, other):
            raise error

    assert error_of("b + 1", b=Biting())


def test_an_interrupt_gets_through():
    """The stop button is stronger than an expression."""

    class Slow:
        def __iter__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        value_of("[x for x in s]", s=Slow())


@pytest.mark.slow
def test_nothing_is_looked_up_on_a_value():
    """Operators and functions go by the slots of its type; methods are for exactly their types; none is ever called."""
    random = Random(seed())
    worked = 0
    for text in (*SAME, *(random_expression(random) for _ in range(times(3_000)))):
        try:
            evaluate(parse(text, NAMES), Scope(Everywhere(Witness())))
            worked += 1
        except ExpressionError:
            continue
    assert worked > times(500)
    assert not LOOKED_UP


def test_a_look_up_would_be_seen():
    """By getattr, by isinstance, by dict() and by a call."""
    witness = Witness()
    try:
        assert not isinstance(witness, list)
        assert not hasattr(witness, "upper")
        assert witness() is witness
        assert dict(witness) == {witness: witness}
        assert {"__class__", "upper", "()", "keys"} <= LOOKED_UP
    finally:
        LOOKED_UP.clear()


def test_a_value_is_what_its_type_is():
    """What it says of itself is not asked: a class that it names, a length that it makes up."""

    class Pretender:
        __class__ = list

        def __len__(self):
            return 3

    assert isinstance(Pretender(), list)
    assert "TypeError" in error_of("sorted(p)", p=Pretender())
    assert "Pretender cannot be unpacked" in error_of("[a for a, b, c in [p]]", p=Pretender())
    assert value_of("sorted(p)", p=collections.UserList([2, 1])) == [1, 2]
    row = sys.version_info
    assert value_of("len(list(row)), row[0] > 2, [a for a, b, c, d, e in [row]][0] > 2", row=row) == (5, True, True)
    assert value_of("dict(d), d['y'], len(d)", d=collections.Counter("yy")) == ({"y": 2}, 2, 1)


def test_a_value_that_changes_while_it_is_read_is_an_error():
    """A dict that grows under the loop, as Python says it."""

    class Changing(dict):
        def __iter__(self):
            for key in super().__iter__():
                self[key, 1] = 1
                yield key

    assert "RuntimeError: dictionary changed size" in error_of("[k for k in c]", c=Changing(a=1))


@pytest.mark.parametrize(
    "text", ["2 in ns", "sum(ns)", "[n for n in ns]", "list(ns)", "dict(zip(ns, ns))", "sorted(ns)"]
)
def test_an_iterator_is_never_used_up_by_an_expression(text):
    """It is not read at all, for the next reader would find nothing."""
    numbers = iter([1, 2, 3, 4])
    assert "return a list from the tool" in error_of(text, ns=numbers)
    assert list(numbers) == [1, 2, 3, 4]


def test_a_table_works_through_its_operators():
    """Columns are divided, summed, compared and looped over; rows are counted."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [3.0, 4.0], "b": [1.5, 8.0], "n": ["x", "y"]})
    assert value_of("list(t['a'] / t['b'])", t=table) == [2.0, 0.5]
    assert value_of("dict(zip(t['n'], t['a'] * 2 - 1))", t=table) == {"x": 5.0, "y": 7.0}
    assert value_of("sum(t['a']), max(t['b']), len(t), list(t)", t=table) == (7.0, 8.0, 2, ["a", "b", "n"])
    assert list(value_of("t[t['a'] > 3]['n']", t=table)) == ["y"]
    assert "use a tool" in error_of("t.get('a')", t=table)
    for masks in ("t.a > 3 & t.b < 9", "t.n == 'x' | t.n == 'y'"):
        assert "put each comparison in brackets" in error_of(f"t[{masks}]", t=table)
    assert "neither true nor false" in error_of("1 if t['a'] > 3 else 2", t=table)


def test_a_value_is_passed_on_as_it_is():
    """A reference alone gives the object itself, and a container holds it; `and`, `or` do not ask the last one."""
    hostile = Hostile()
    assert value_of("h", h=hostile) is hostile
    assert value_of("[h]", h=hostile)[0] is hostile
    assert value_of("1 and h", h=hostile) is hostile
    assert value_of("0 or h", h=hostile) is hostile


def test_methods_are_for_exactly_their_types():
    """A method of the list works on str, dict and list themselves, never on what merely has such a name."""

    class Loud(str):
        __slots__ = ()

        def upper(self):
            raise AssertionError("called")

    assert ".upper() is for str or .str, not Loud: use a tool" in error_of("x.upper()", x=Loud("a"))
    assert ".get() is for dict or .str, not list" in error_of("x.get(0)", x=[1])


def test_counts_and_groups_that_a_tool_returns_are_read_like_dicts():
    """A Counter, a defaultdict and an OrderedDict have the methods of dicts, and none of them grows."""
    for kind in (collections.Counter, collections.OrderedDict, lambda pairs: collections.defaultdict(int, pairs)):
        counts = kind({"a": 1, "b": 3})
        assert value_of("sorted(x.items(), key=lambda p: p[1], reverse=True)[0]", x=counts) == ("b", 3)
        assert value_of("x.get('q', 7), list(x.keys()), sum(x.values())", x=counts) == (7, ["a", "b"], 4)
        assert value_of("max(x, key=x.get)", x=counts) == "b"
        assert dict(counts) == {"a": 1, "b": 3}


def test_a_field_that_is_read_as_a_key_is_told_to_be_read_as_a_field():
    """A model that saw the fields may still write them as of JSON."""
    point = collections.namedtuple("Point", "a b")(1, 2)  # noqa: PYI024 - a tool may well return one of these
    assert "Point has fields, not keys: read it as .a" in error_of("x['a']", x=point)
    assert "fields, not keys" not in error_of("x['c']", x=point)
    assert value_of("x[1]", x=point) == 2


def test_the_plans_own_containers_are_never_handed_out():
    """A literal is made anew at each evaluation, so a tool that changes its argument changes nothing else."""
    tree = parse("[1, {'a': [2]}]", {})
    first = evaluate(tree, Scope({}))
    first[1]["a"].append(3)
    assert evaluate(tree, Scope({})) == [1, {"a": [2]}]


def test_references_and_inputs_are_looked_up_apart():
    """A task and an input of one name are two values."""
    assert evaluate([Ref("a"), Input("a")], Scope({"a": 1}, {"a": 2})) == [1, 2]


def test_a_text_from_a_tool_is_never_read_as_a_template():
    """What looks like a field, a reference or a format in a value stays text."""
    assert value_of("f'{a} {b}'", a="{b} $1 ${b} %s {0.__class__}", b="x") == "{b} $1 ${b} %s {0.__class__} x"


# ------------------------------------------------------------------- what errors say


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ny['max'] + 1", 'ny["max"] + 1: TypeError: can only concatenate str'),
        ("ny['max'] + 1", """(with ny["max"] = '9')"""),
        ("ny['min']", """ny["min"]: KeyError: 'min' (with ny = dict of 1); its keys are max"""),
        ("rows[5] if ny else 0", "rows[5]: IndexError"),
        ("max(rows)", "max(rows): ValueError"),
        ("n / 0", "(with n = 3)"),
        ("[a for a, b in pairs]", "1 cannot be unpacked into 2 names"),
        ("max(pairs, key=lambda a, b: a)", "a lambda of 2 names is called with 1"),
        ("'%s' % n", "use an f-string"),
        ("'a'.replace('b')", "it is called as .replace(old, new, count=-1)"),
        ("'a'.upper('b')", "it is called as .upper()"),
        ("sum(pairs, 0, 1)", "it is called as sum(values, start=0)"),
        ("len(pairs, 1)", "len() takes exactly one argument (2 given)"),
    ],
)
def test_an_error_names_the_part_and_its_values(text, told):
    """The smallest part that failed, why, and what its operands were, in short."""
    assert told in error_of(text, ny={"max": "9"}, rows=[], n=3, pairs=[1])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"max": 1, "minTemp": 2}, "; its keys are max, minTemp"),
        ({}, "; it is empty"),
        ({"AAPL": 1.0, "MSFT": 2.0}, "; it has 2 keys, the first of the type str"),
        ({f"name{number}": number for number in range(30)}, "; it has 30 keys, the first of the type str"),
        ({f"f{number}": "x" * (number % 2) or number for number in range(40)}, "; its keys are f0, f1, f2"),
        ({1: "a"}, "; it has 1 keys, the first of the type int"),
    ],
)
def test_a_key_that_is_not_there_is_told_with_those_that_are(value, told):
    """If they look like fields; keys that are data are counted, since another plan's request shows the message."""
    with pytest.raises(ExpressionError) as caught:
        evaluate(Item(Ref("row"), "min"), Scope({"row": value}))
    assert told in str(caught.value)
    assert len(str(caught.value)) < 400
