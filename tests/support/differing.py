"""Two runs that differ in all that a comparison tells of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from compiler_nb.compiler import Compiler
from compiler_nb.models.scripted import ScriptedModel
from compiler_nb.tool import tool

if TYPE_CHECKING:
    from compiler_nb.run import Run

BASE = """
ny = weather("New York")
la = weather("Los Angeles")
old = weather("Nowhere")
rows = {c: weather(c) for c in ["Rome", "Oslo"]}
best = compare(ny, la)
note = shout(best)
join(note)
"""
TERSE = """
new_york = weather("New York")
la = weather("LA", days=2)
sf = weather("San Francisco")
rows = {c: weather(c) for c in ["Rome", "Bergen", "Wien"]}
best = compare(new_york, la, sf)
note = shout(best)
join(note)
"""


@tool
async def weather(city: str, days: int = 1) -> dict:
    """Weather of a city."""
    await asyncio.sleep(0.001 * len(city))
    if city == "Nowhere":
        raise LookupError("no such city")
    return {"city": city, "max": len(city) + days}


@tool
def compare(*cities: dict) -> str:
    """Name the warmest of some cities."""
    return max(cities, key=lambda city: city["max"])["city"]


@tool
def shout(text: str) -> str:
    """Write a text in capitals."""
    return text.upper()


TOOLS = [weather, compare, shout]


def run_plan(*plans: str, question: str = "Which name is longest?", joiner: Any = "Fine.", **settings: Any) -> Run:
    """Return the run of a question that these plans answer, one in each round."""
    model = ScriptedModel({"planner": list(plans), "joiner": joiner})
    return Compiler(model, settings.pop("tools", TOOLS), **settings).run_sync(question)


def two_runs(**settings: Any) -> tuple[Run, Run]:
    """Return the runs of both plans."""
    base = run_plan(BASE, joiner="It is Los Angeles.\nIt has 11 letters.", **settings)
    terse = run_plan(
        TERSE, joiner="It is San Francisco.\nIt has 13 letters.",
        examples=[("Where is it warm?", 'a = weather("Rome")\nanswer(a)')], **settings,
    )  # fmt: skip
    return base, terse
