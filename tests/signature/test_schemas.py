"""JSON schemas become type hints that take what the schema takes, and parameters that plans can write."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from compiler_nb.signature.arguments import Signature
from compiler_nb.signature.checks import make_check
from compiler_nb.signature.schemas import DEEPEST, MOST, SchemaFault, arguments_of, hint_of, spell_name

NODE = {"$defs": {"N": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/N"}}}}}


@pytest.mark.parametrize(
    ("schema", "taken", "refused"),
    [
        ({"type": "string"}, ["x"], [1, None]),
        ({"type": "integer"}, [1, 1.0], [1.5, True, "1x"]),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 2}, [0, 1.5], [-1, 2]),
        ({"type": ["string", "null"]}, ["x", None], [[1]]),
        ({"enum": ["a", 2, None]}, ["a", 2, None], ["b", True]),
        ({"const": 3}, [3], [4]),
        ({"enum": [[1], {"a": 2}]}, ["anything"], []),
        ({"type": "array", "items": {"type": "integer"}}, [[1, 2], []], [["x"], 1]),
        ({"type": "array"}, [[1, "x"]], [1]),
        ({"items": {"type": "string"}}, [["x"]], [[1]]),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, [["x", 1]], ["x"]),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}, ["x", ["x"]], [1]),
        ({"oneOf": [{"type": "string"}, {}]}, [1, "x"], []),
        ({"allOf": [{"type": "string"}]}, ["x"], [1]),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, ["x", 1], []),
        ({"type": "object", "additionalProperties": {"type": "number"}}, [{"a": 1.5}], [{"a": "x"}]),
        ({"type": "object"}, [{"a": 1}], [1]),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b-c": {"type": "integer"}}, "required": ["a"]},
            [{"a": "x"}, {"a": "x", "b-c": 1}, {"a": "x", "more": 1}],
            [{}, {"a": 1}, {"a": "x", "b-c": "y"}],
        ),
        ({"properties": {"a": {}}, "additionalProperties": False}, [{"a": 1}], [{"b": 1}]),
        ({**NODE, "$ref": "#/$defs/N"}, [{"v": 1, "next": {"v": 2}}], [{"v": "x"}]),
        ({"description": "Anything."}, [1, "x"], []),
        (True, [1], []),
    ],
)
def test_a_hint_takes_what_its_schema_takes(schema, taken, refused):
    """And nothing is lost on the way; what a hint cannot say is left to the server."""
    check = make_check(hint_of(schema)) or (lambda value: value)
    assert [check(value) for value in taken] == taken
    for value in refused:
        with pytest.raises((TypeError, ValueError)):
            check(value)


def test_a_schema_becomes_parameters():
    """Those that must be given come first; names that Python cannot write are spelled anew."""
    properties = {
        "from": {"type": "string", "description": "where it\nbegins"},
        "order-by": {"type": "string", "default": "name"},
        "2nd": {"type": "boolean"},
        "order_by": {"type": ["integer", "null"]},
        "_meta": {},
    }
    found = arguments_of({"type": "object", "properties": properties, "required": ["_meta", "missing"]})
    assert [(each.name, each.parameter.name, each.leaves_out) for each in found] == [
        ("_meta", "meta", False), ("missing", "missing", False), ("from", "from_", True),
        ("order-by", "order_by", True), ("2nd", "argument_2nd", True), ("order_by", "order_by_2", False),
    ]  # fmt: skip
    assert found[3].parameter.default == "name"
    assert "where it begins" in str(found[2].parameter.annotation)


def test_what_takes_any_names_takes_them():
    """An object without properties that says what others are."""
    (rest,) = arguments_of({"type": "object", "additionalProperties": {"type": "string"}})
    assert rest.parameter.kind is inspect.Parameter.VAR_KEYWORD
    assert arguments_of({"type": "object"}) == ()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "not an object"),
        ({"type": "array"}, "not an object"),
        ({"properties": [1]}, "`properties` is a list"),
        ({"required": "a"}, "`required` is not a list"),
        ({"properties": {"a": 5}}, "'a' has no schema, but a int"),
        ({"properties": {"a": {"type": "str"}}}, "unknown type, 'str'. Did you mean 'string'"),
        ({"properties": {"a": {"type": {}}}}, "unknown type"),
        ({"properties": {"a": {"enum": []}}}, "no values"),
        ({"properties": {"a": {"anyOf": {}}}}, "that is missing"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1/x"}}}, "outside of the schema"),
        ({"properties": {"a": {"$ref": "#x"}}}, "outside of the schema"),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}}, "leads nowhere"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "leads to itself"),
        ({"properties": {f"a{n}": {} for n in range(300)}}, "200 is the limit"),
        ({"properties": {"a": {"anyOf": [{"type": "string"}] * (MOST + 1)}}}, "holds more than"),
    ],
)
def test_a_schema_that_cannot_be_read_is_named(schema, words):
    """Instead of a tool that takes anything."""
    with pytest.raises(SchemaFault, match=words):
        arguments_of(schema)


def test_what_nests_too_deeply_may_be_anything():
    """And so may a reference within itself."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(DEEPEST + 5):
        schema = {"type": "array", "items": schema}
    assert make_check(hint_of(schema)) is not None
    twice = {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}}
    assert hint_of({**twice, "$ref": "#/$defs/a"}) is Any


def test_no_text_of_a_schema_is_evaluated():
    """A name, a title or an enumeration may hold what looks like code."""
    evil = "__import__('os').abort()"
    properties = {evil: {"title": evil, "type": "object", "properties": {evil: {"enum": [evil]}}}}

    def tool(**_: object) -> None: ...

    found = arguments_of({"properties": properties})
    tool.__signature__ = inspect.Signature([each.parameter for each in found])
    tool.__annotations__ = {each.parameter.name: each.parameter.annotation for each in found}
    assert Signature(tool, "tool").bind((), {found[0].parameter.name: {evil: evil}})


def test_names_stay_short_and_apart():
    """However many are alike."""
    names: list[str] = []
    for _ in range(3):
        names.append(spell_name("x" * 100, names))
    assert names == ["x" * 60, f"{'x' * 60}_2", f"{'x' * 60}_3"]
    assert [spell_name(each) for each in ("", "é", "class", "9")] == ["argument", "argument", "class_", "argument_9"]
