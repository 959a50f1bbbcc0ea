"""What a pure tool's value depends on beside its arguments: its code, and all of the user's own that this reaches."""

from __future__ import annotations

import functools
import json
import logging
import re
import sqlite3
import sys
import types
from dataclasses import dataclass
from typing import Any

import pytest

from compiler_nb.tool import Tool
from compiler_nb.values.source import ToolSource, is_own, source_of, version_of

COVERS = ("members.py",)

MODULE = """
import json, math, re, logging
import helpers
from helpers import double
RATE = 2
NAMES = ["a"]
LOG = logging.getLogger("x")
WORDS = re.compile("a+")

class Base:
    def name(self): return "base"

class City(Base):
    size = 3
    def height(self): return self.size * RATE
    @property
    def wide(self): return 1
    @staticmethod
    def flat(): return 0

def inner(x): return x * RATE
def tool(x, y=1):
    LOG.info("x")
    return inner(x) + helpers.triple(x) + double(x) + len(NAMES) + len(WORDS.findall("a"))
def sized(x): return City().height()
def nested(x): return [inner(each) for each in x]
def importing(x):
    import helpers
    return helpers.triple(x)
"""
HELPERS = """
FACTOR = 3
OTHER = 1
def triple(x): return x * FACTOR
def double(x): return x + x
def unused(x): return x
"""


def made(text: str, name: str) -> types.ModuleType:
    """Return a module of the user's own."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(text, vars(module))  # noqa: S102 - our own
    return module


@pytest.fixture
def module(monkeypatch):
    """Return a module that imports another one."""
    monkeypatch.setitem(sys.modules, "helpers", None)
    monkeypatch.setitem(sys.modules, "own", None)
    helpers = made(HELPERS, "helpers")
    found = made(MODULE, "own")
    vars(found)["helpers"] = helpers
    return found


def digest(module: types.ModuleType, name: str = "tool") -> str:
    """Return the digest of a function's source."""
    source = source_of(Tool(vars(module)[name], pure=True))
    assert not source.fault
    assert source.is_current
    return source.digest


CHANGES = {
    "its own code": ("tool", "len(NAMES)", "2 * len(NAMES)"),
    "a default": ("tool", "y=1", "y=2"),
    "a function that it calls": ("tool", "return x * RATE", "return RATE * x"),
    "a value that this reads": ("tool", "RATE = 2", "RATE = 2.0"),
    "what stands in a list": ("tool", 'NAMES = ["a"]', 'NAMES = ["b"]'),
    "a pattern": ("tool", '"a+"', '"a*"'),
    "a method": ("sized", "self.size * RATE", "RATE * self.size + 0"),
    "a field of a class": ("sized", "size = 3", "size = 4"),
    "a base of a class": ("sized", '"base"', '"other"'),
    "what a comprehension calls": ("nested", "return x * RATE", "return RATE * x"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_it_reaches_changes_the_source(module, what):
    """And nothing else does; made anew it is the same."""
    name, old, new = CHANGES[what]
    before = digest(module, name)
    exec(MODULE, again := {"__name__": "own"})  # noqa: S102 - our own
    assert digest(types.SimpleNamespace(**again), name) == before  # type: ignore[arg-type]
    assert old in MODULE
    exec(MODULE.replace(old, new), changed := {"__name__": "own"})  # noqa: S102 - our own
    assert digest(types.SimpleNamespace(**changed), name) != before  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tool", "importing"])
@pytest.mark.parametrize(("old", "new", "same"), [
    ("FACTOR = 3", "FACTOR = 4", False), ("OTHER = 1", "OTHER = 2", True), ("return x\n", "return 2\n", True),
])  # fmt: skip
def test_of_another_module_only_what_is_named_counts(module, name, old, new, same):
    """By its module's name, or imported within the function."""
    before = digest(module, name)
    vars(module)["helpers"] = made(HELPERS.replace(old, new), "helpers")
    assert (digest(module, name) == before) is same


HOLDERS = """
import abc, collections, dataclasses, enum, functools, types, typing
import pydantic
from numpy import mean, sqrt
Kind = typing.TypeVar("Kind")
class Meta(type):
    def meta(cls): return 1
class Held(metaclass=Meta):
    rates = {"a": 1}
    pair = (1, 1)
    class Inner: deep = 1
    def one(self, k): return k
    bound = functools.partialmethod(one, 1)
    @functools.lru_cache
    def cached(self): return 1
    @functools.singledispatchmethod
    def many(self, x): return 0
    @many.register
    def _(self, x: int): return 1
Held.later = [1]
class Color(enum.Enum):
    RED = 1
class Point(typing.NamedTuple):
    x: int = 1
Other = collections.namedtuple("Other", "a", defaults=[1])
class Model(pydantic.BaseModel):
    a: int = pydantic.Field(default=1, ge=0)
@dataclasses.dataclass
class Data:
    items: list = dataclasses.field(default_factory=lambda: [1])
class Box(typing.Generic[Kind]):
    def inside(self): return 1
IntBox = Box[int]
Hint = dict[str, int]
SPACE = types.SimpleNamespace(a=1)
GET = {"a": 1}.get
MARK = object()
def three(*args, a=0, b=0): return args, a, b
ready = functools.partial(three, 1, a=1)
def g(): return 1
def h(): return 2
x = g; y = g; z = h
g.note = 1
def tool(q, low=3, high=5, step=5):
    if q is MARK: return mean([sqrt(q)])
    return Held, Color, Point, Other, Model, Data, IntBox, Hint, SPACE, GET, ready, g.note, x(), y(), z()
"""


@pytest.mark.parametrize(("old", "new"), [
    ('{"a": 1}\n    pair', '{"a": 2}\n    pair'), ("(1, 1)", "(1, 2)"), ("deep = 1", "deep = 2"),
    ("partialmethod(one, 1)", "partialmethod(one, 2)"), ("cached(self): return 1", "cached(self): return 2"),
    ("x: int): return 1", "x: int): return 2"), ("meta(cls): return 1", "meta(cls): return 2"),
    ("later = [1]", "later = [2]"), ("RED = 1", "RED = 2"), ("x: int = 1", "x: int = 2"),
    ("defaults=[1]", "defaults=[2]"), ("default=1", "default=2"), ("ge=0", "ge=1"), ("lambda: [1]", "lambda: [2]"),
    ("inside(self): return 1", "inside(self): return 2"), ("dict[str, int]", "dict[str, str]"),
    ("Namespace(a=1)", "Namespace(a=2)"), ('GET = {"a": 1}', 'GET = {"a": 2}'), ("three, 1, a=1", "three, 1, b=1"),
    ("three, 1, a", "three, 1, 1, a"), ("x = g", "x = h"), ("note = 1", "note = 2"), ("low=3, high=5", "low=3, high=3"),
])  # fmt: skip
def test_whatever_holds_a_value_or_a_function_counts(old, new):
    """Data and members of classes, defaults, partials, fields of functions; made anew, it is the same."""

    def source(text: str) -> ToolSource:
        exec(text, found := {"__name__": "__main__"})  # noqa: S102 - our own
        return source_of(Tool(found["tool"], pure=True))

    before = source(HOLDERS)
    assert (before.fault, source(HOLDERS).parts) == ("", before.parts)
    assert HOLDERS.count(old) == 1
    assert source(HOLDERS.replace(old, new)).digest != before.digest


def test_a_class_that_is_changed_in_place_is_not_current(monkeypatch):
    """Nor is one whose list has grown."""

    class Held:
        rate = 1
        names: tuple[list[str]] = ([],)

    def use(x: int) -> Any:
        return Held.rate, Held.names

    source = source_of(Tool(use, pure=True))
    assert source.is_current
    Held.names[0].append("b")
    assert source.stale() == "Held.names"
    Held.names[0].clear()
    monkeypatch.setattr(Held, "rate", 2)
    assert source.stale() == "rate"


def test_what_a_decorator_of_a_package_keeps_counts():
    """A function for each type that functools.singledispatch holds cannot be compared, and is named."""

    @functools.singledispatch
    def size(x: Any) -> int:
        return 0

    def use(x: int) -> int:
        return size(x)

    assert source_of(Tool(use, pure=True)).fault.startswith("it reads registry: ")


def test_comments_and_layout_do_not_count(module):
    """Nor does the place in the file."""
    before = digest(module)
    exec(f"\n\n{MODULE}".replace("return inner", "# why\n    return inner"), again := {"__name__": "own"})  # noqa: S102
    assert digest(types.SimpleNamespace(**again)) == before  # type: ignore[arg-type]


def test_it_knows_when_it_is_not_current_anymore(module):
    """A name that is bound anew, a list that grew, a module's function; and what it is called."""
    space = vars(module)
    source = source_of(Tool(space["tool"], pure=True))
    for name, change, back in [
        ("RATE", lambda: space.update(RATE=3), lambda: space.update(RATE=2)),
        ("NAMES", lambda: space["NAMES"].append("b"), space["NAMES"].pop),
        ("inner", lambda: space.update(inner=abs), None),
    ]:
        assert source.stale() == ""
        change()
        assert source.stale() == name
        if back is not None:
            back()


@pytest.mark.slow
def test_packages_count_by_their_versions():
    """Each by its own, Python's library by Python's."""

    def load(text: str) -> Any:
        return json.loads(text), pytest.fixture

    parts = source_of(Tool(load, pure=True)).parts
    assert parts["pytest"].word == pytest.__version__
    assert parts["json"].word.startswith("Python 3.")
    assert version_of("nowhere_at_all") == ""


def test_what_it_encloses_counts():
    """A closure's values, functions among them, of partials and of caches, too."""

    def make(rate: int) -> Any:
        def inner(x: int) -> int:
            return x * rate

        @functools.cache
        def cached(x: int) -> int:
            return inner(x)

        def outer(x: int) -> int:
            return cached(x) + 0

        return outer

    def digest_of(function: Any) -> str:
        return ToolSource(function).digest

    assert digest_of(make(2)) == digest_of(make(2)) != digest_of(make(3))
    assert digest_of(functools.partial(int, base=2)) != digest_of(functools.partial(int, base=3))
    assert digest_of(functools.partial(int, base=2)) == digest_of(functools.partial(int, base=2))


@dataclass
class Rule:
    """A value whose fields are its content."""

    rate: int


RULE = Rule(2)
CONNECTION = sqlite3.connect(":memory:")
LOG, WORDS = logging.getLogger("x"), re.compile("a")


def test_a_value_of_a_class_counts_by_its_fields(monkeypatch):
    """Its class belongs to the source."""

    def use(x: int) -> int:
        return x * RULE.rate

    before = source_of(Tool(use, pure=True))
    assert {"RULE", "Rule"} <= before.parts.keys()
    monkeypatch.setattr(RULE, "rate", 3)
    assert before.stale() == "RULE"
    assert source_of(Tool(use, pure=True)).digest != before.digest


def test_what_cannot_be_compared_is_named():
    """A connection; but no logger and no pattern."""

    def use(x: int) -> Any:
        LOG.info(x)
        return WORDS.findall(CONNECTION.execute("SELECT 1").fetchone())

    source = source_of(Tool(use, pure=True))
    assert source.fault == "it reads CONNECTION: Connection has no content to compare"


def test_a_module_that_is_not_loaded_is_named():
    """What it holds is not known."""

    def use(x: int) -> Any:
        import not_there_yet

        return not_there_yet.work(x)

    assert source_of(Tool(use, pure=True)).fault == "it imports not_there_yet, which is not loaded yet"


@pytest.mark.slow
def test_whose_a_module_is():
    """A test is the user's own, as a notebook is; packages and Python's library are not."""
    assert is_own(__name__)
    assert is_own("__main__")
    assert not any(map(is_own, ["json", "pytest", "_pytest.config", "compiler_nb.tool", "sys"]))
