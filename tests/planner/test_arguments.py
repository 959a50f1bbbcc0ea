"""A planner is told what is written for an argument whose type does not say so by its name, in small prompts, too."""

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NewType, TypedDict

import pytest
from pydantic import BaseModel, Field

from compiler_nb import Plan, Toolbox, tool
from compiler_nb.planner.arguments import MOST, describe_arguments
from compiler_nb.planner.requests import listed


class Unit(enum.Enum):
    """A unit of temperature."""

    C = "celsius"
    F = "fahrenheit"


class Level(enum.IntEnum):
    """How urgent."""

    LOW = 1
    HIGH = 2


class Options(TypedDict, total=False):
    """Options of a forecast."""

    days: int
    mode: Literal["day", "hour"]


@dataclass
class Line:
    """A line of an order."""

    sku: str
    qty: int = 1
    tags: list[str] = field(default_factory=list)


class Raw(BaseModel):
    """Whatever came."""

    what: Any
    rows: list = []


class Order(BaseModel):
    """An order."""

    id: str
    lines: list[Line]
    when: dt.date | None = None


Word = NewType("Word", Literal["yes", "no"])
Many = enum.Enum("Many", {f"V{number}": number for number in range(100)})
LINE = '{"sku": str, "qty"?: int, "tags"?: [str]}'


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Unit, '"celsius" or "fahrenheit"'),
        (Level, "1 or 2"),
        (Unit | None, '"celsius" or "fahrenheit" or None'),
        (Word, '"yes" or "no"'),
        (Options, '{"days"?: int, "mode"?: "day" or "hour"}'),
        (list[Line], f"[{LINE}]"),
        (dict[str, Line], f"dict of str to {LINE}"),
        (list[Raw], '[{"what": any value, "rows"?: [any value]}]'),
        (Order, f'{{"id": str, "lines": [{LINE}], "when"?: date or None}}'),
        (tuple[Unit, int], '["celsius" or "fahrenheit", int]'),
        (Annotated[int, Field(gt=0, le=9, description="how many")], "int (how many, gt=0, le=9)"),
        (Annotated[str, "a city"], "str (a city)"),
        (Annotated[Unit, "of the result"], '"celsius" or "fahrenheit" (of the result)'),
    ],
)
def test_a_planner_is_told_what_is_written_for_an_argument(hint, words):
    """The values of an enumeration, the fields of a record, and what an annotation says, with any prompts."""

    def find(x, limit: int = 3):
        """Find it."""

    find.__annotations__["x"] = hint
    assert describe_arguments(tool(find)) == f"where x is {words}"
    for wording in ("small", "full"):
        [told] = listed(Toolbox([find]), {"find": "[str]"}, wording)
        assert told.endswith(f"\n    where x is {words}\n    seen: [str]")


@pytest.mark.parametrize("hint", [str, int, float, list[str], dict, Any, Literal["a", "b"], "Nowhere", object, dt.date])
def test_a_type_whose_name_says_it_all_is_not_told_twice(hint):
    """So that the prompt stays as short as it was."""

    def find(x):
        """Find it."""

    find.__annotations__["x"] = hint
    assert describe_arguments(tool(find)) == ""


def test_what_is_told_is_accepted_in_a_plan_and_long_lists_are_cut():
    """A plan that is written in these words is a plan."""

    @tool
    def send(order: Order, unit: Unit = Unit.C, *, level: Level = Level.LOW) -> str:
        """Send an order."""

    said = '1. send({"id": "a", "lines": [{"sku": "b"}]}, "celsius", level=2)\n2. join($1)\n'
    assert Plan.parse(said, dialect="numbered", tools=[send]).tasks[0].tool == "send"

    @tool
    def pick(one: Many):
        """Pick one."""

    assert describe_arguments(pick) == f"where one is {' or '.join(map(str, range(MOST)))} or …"


def test_a_default_that_is_a_member_is_shown_as_it_is_written():
    """Not as Python shows it."""

    @tool
    def weather(city: str, unit: Unit = Unit.C):
        """Return the weather."""

    assert listed(Toolbox([weather]), {}, "small") == [
        'weather(city: str, unit: Unit = \'celsius\'): Return the weather.\n    where unit is "celsius" or "fahrenheit"'
    ]
