"""The schema for OpenAI's strict mode: in its few words, and a plan is still one of it."""

from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest

from compiler_nb.plan.plan import Plan
from compiler_nb.tool import Toolbox, tool
from tests.grammar.test_plans import BOX, large_box

WORDS = {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "enum",
    "$ref",
    "$defs",
    "description",
}


def parts_of(schema: Any) -> list[dict[str, Any]]:
    """Return a schema and all that stand in it."""
    inner = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    return [schema, *(part for each in inner for part in parts_of(each))]


@pytest.mark.slow
@pytest.mark.parametrize("box", [BOX, large_box(), Toolbox()], ids=["four tools", "twenty tools", "none"])
def test_it_has_only_the_words_that_strict_modes_take_and_stays_within_their_limits(box):
    """Every field is required, no object is open, nothing else is said; at most 5,000 fields and 1,000 constants."""
    schema = json.loads(box.grammar("json", ("city",), "strict_schema"))
    parts = parts_of(schema)
    assert {word for part in parts for word in part} <= WORDS
    for part in parts:
        if part.get("type") == "object":
            assert (part["required"], part["additionalProperties"]) == (list(part["properties"]), False)
    assert sum(len(part.get("properties", ())) for part in parts) < 5_000
    assert sum(len(part.get("enum", ())) for part in parts) < 1_000
    assert {part["$ref"].removeprefix("#/$defs/") for part in parts if "$ref" in part} <= schema["$defs"].keys()
    jsonschema.Draft202012Validator.check_schema(schema)


@tool
def near(point: tuple[float, float], *names: str, kind: Literal["a", "$b"] = "a") -> list[str]:
    """Return what is near."""


@pytest.mark.parametrize(
    ("tool_", "args", "right"),
    [
        ("weather", {"city": "Oslo"}, True),
        ("weather", {"city": "$t1.name", "days": 2}, True),
        ("weather", {"city": "Oslo", "days": "$t1"}, True),
        ("weather", {"days": 2}, False),
        ("weather", {"city": "Oslo", "unit": "K"}, True),  # any text may be a reference: repair sees to it
        ("weather", {"city": 5}, False),
        ("rain", {}, False),
        ("near", {"point": [1.5, 2], "names": ["x"]}, True),
        ("near", {"point": [1.5, 2], "kind": "$$b"}, True),
        ("send", {"to": "a@b", "body": [1, "x"]}, True),
        ("answer", {"value": "$t1"}, True),
    ],
)
def test_a_call_with_any_of_its_optional_arguments_is_one_of_the_schema(tool_, args, right):
    """Unknown tools, missing arguments and wrong types are not."""
    box = Toolbox([*BOX.values(), near])
    schema = jsonschema.Draft202012Validator(json.loads(box.grammar("json", (), "strict_schema")))
    plan = {
        "tasks": [{"id": "t1", "tool": "weather", "args": {"city": "x"}}, {"id": "t2", "tool": tool_, "args": args}]
    }
    assert schema.is_valid(plan) == right
    if right and "unit" not in args:
        assert Plan.parse(json.dumps(plan), dialect="json", tools=box)
