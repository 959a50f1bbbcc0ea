"""Types are told to planners by their names and fields."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Required, TypedDict

import pytest
from pydantic import BaseModel, Field

from compiler_nb.signature.types import spell_type
from compiler_nb.tool import tool


class Size(Enum):
    """How large."""

    SMALL, LARGE = "s", "l"


class Line(TypedDict):
    """A line of an order."""

    sku: str
    qty: int


class Order(TypedDict, total=False):
    """An order."""

    order_id: Required[str]
    lines: list[Line]


class Spot(NamedTuple):
    """A place on a map."""

    lat: float
    lon: float


@dataclass
class Town:
    """A town."""

    name: str
    at: Spot | None


class Report(BaseModel):
    """What was found."""

    towns: dict[str, Town]
    at: dt.date


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Order, "{order_id: str, lines?: [{sku: str, qty: int}]}"),
        (list[Order], "[{order_id: str, lines?: [{sku: str, qty: int}]}]"),
        (Annotated[Spot, "degrees"], "Spot(lat: float, lon: float)"),
        (Town | None, "Town(name: str, at: Spot(lat: float, lon: float) or None) or None"),
        (Report, "Report(towns: dict of str to Town(name: str, at: Spot or None), at: date)"),
        (dict[str, float], ""), (list, ""), (dict, ""), (Any, ""), (None, ""), ("Nowhere", ""),
    ],
)  # fmt: skip
def test_the_fields_of_a_return_type_are_told(hint, words):
    """Of a TypedDict, a dataclass, a named tuple, a pydantic model, and what holds them, two levels deep."""

    def find(x: int):
        """Find it."""

    find.__annotations__["return"] = hint
    assert tool(find).result == words
    told = f"\n    returns {words}" if words else ""
    assert tool(find).description == f"{tool(find).signature}\n    Find it.{told}"


def test_what_annotated_adds_is_no_part_of_a_type():
    """Neither at the top, nor within; a planner is told of it in words of their own."""
    small = Annotated[int, Field(gt=0, description="how many")]
    shown = [spell_type(each) for each in (small, list[small], small | None, dict[str, tuple[small, ...]])]
    assert shown == ["int", "list[int]", "int | None", "dict[str, tuple[int, ...]]"]

    @tool
    def order(what: small, *more: Annotated[str, Town], size: Size = Size.LARGE) -> Annotated[Town, 1]:
        """Order it."""

    order.function.__annotations__["what"] = small
    assert order.signature == "order(what: int, *more: str, size: Size = 'l') -> Town"


def test_types_are_spelled_as_a_planner_reads_them():
    """Without the names of modules; a number keeps its dot, and `...` its own."""
    assert spell_type(Literal[1.5]) == "Literal[1.5]"
    assert spell_type(tuple[Town, ...]) == "tuple[Town, ...]"
    assert [spell_type(each) for each in (int, list[Town], Town | None, "text", dict[str, Any])] == [
        "int", "list[Town]", "Town | None", "text", "dict[str, Any]",
    ]  # fmt: skip
