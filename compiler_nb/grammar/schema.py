"""The grammar of the json dialect as a JSON schema, for servers that take no other.

The tasks of each line have a definition of their own, so that they refer only to lines above. A text holds no quotes,
no backslashes and no ends of lines: some engines compare a pattern with the text as it is written, others with what
it stands for, and without those the two are the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Any, Final, TypeAlias

from compiler_nb.grammar.domain import Domain, any_domain, domain_of
from compiler_nb.grammar.spelling import READABLE, STEPS, Leeway
from compiler_nb.signature.arguments import Parameter
from compiler_nb.signature.names import is_nameable
from compiler_nb.tool import Tool

Schema: TypeAlias = dict[str, Any]
"""A JSON schema; an empty one stands for what cannot be written."""

_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f\u2028-\u2029\u202a-\u202e\u2066-\u2069"
_INDEX: Final = r"(0|[1-9][0-9]{0,3})"
_KEY: Final = rf"[^{_CONTROLS}\u0022\u0024\u0027\u005b-\u005d\u0060\u007b\u007d"
_STEP: Final = rf"(\.[A-Za-z][A-Za-z0-9\u005f]{{0,40}}|\.{_INDEX}|\[-?{_INDEX}\]|\['{_KEY}\u005f]{_KEY}]{{0,60}}'\])"
_PATH: Final = rf"{_STEP}{{0,{STEPS}}}"
_PLAIN: Final = rf"[^{_CONTROLS}\u0022\u0024\u005c]"
_FIRST: Final = rf"[^{_CONTROLS}\u0022\u0024\u0040\u005c]"
_DATE: Final = (
    "[12][0-9]{3}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
)  # fmt: skip
_TIME: Final = "T([01][0-9]|2[0-3]):[0-5][0-9]"


def to_schema(tools: Mapping[str, Tool], leeway: Leeway) -> str:
    """Return the schema as text."""
    return compact(_Schemas(tools, leeway).plan())


def compact(schema: Schema) -> str:
    """Return a schema as text without blanks."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


class _Schemas:
    """Makes the schema; what is used in several places is a definition."""

    def __init__(self, tools: Mapping[str, Tool], leeway: Leeway) -> None:
        self.tools = dict(tools)
        self.inputs, self.leeway = leeway.inputs, leeway
        self.earlier = [name for name in dict.fromkeys(leeway.earlier) if READABLE.fullmatch(name)]
        self.definitions: dict[str, Schema] = {}
        self.names: dict[str, str] = {}
        self.value = cache(self._value)

    def plan(self) -> Schema:
        """Return the schema of a plan: so many tasks, and perhaps a last one that joins or answers."""
        first = self.leeway.first
        tasks = [self._task(line) for line in self.leeway.numbers]
        tasks = tasks[: tasks.index({})] if {} in tasks else tasks
        least = min(self.leeway.least, len(tasks))
        whole = [tasks[:count] for count in range(max(1, least), len(tasks) + 1)]
        whole += [[*tasks[:count], self._last(first + count)] for count in range(least, len(tasks) + 1)]
        fields: dict[str, Schema] = {
            "tasks": {"anyOf": [_fixed(each) for each in whole]},
            "join_instruction": {"type": "string", "pattern": f"^{_PLAIN}*$"},
        }
        return {**_object(fields, ["tasks"]), "$defs": self.definitions}

    def _share(self, schema: Schema) -> Schema:
        """Return the reference to a schema that is used in several places."""
        text = json.dumps(schema)
        if text not in self.names:
            self.names[text] = f"d{len(self.names) + 1}"
            self.definitions[self.names[text]] = schema
        return {"$ref": f"#/$defs/{self.names[text]}"}

    def _any(self, options: list[Schema]) -> Schema:
        found = [each for each in options if each]
        return self._share({"anyOf": found}) if len(found) > 1 else found[0] if found else {}

    def _above(self, line: int) -> list[str]:
        """Return what a line may refer to: results of earlier rounds, and the lines above it."""
        return [*self.earlier, *(f"t{above}" for above in range(self.leeway.first, line))]

    # ---------------------------------------------------------------- tasks

    def _task(self, line: int) -> Schema:
        calls = [
            self._call(name, args, line) for name, each in self.tools.items() for args in self._objects(each, line)
        ]
        return self._any(calls)

    def _last(self, line: int) -> Schema:
        answer = self._call("answer", _object({"value": self.value(any_domain(), line)}, ["value"]), line)
        join = self._call("join", _object({}, []), line)
        join["required"].append("deps")
        return self._any([answer, join] if self._above(line) else [answer])

    def _call(self, name: str, args: Schema, line: int) -> Schema:
        fields: dict[str, Schema] = {"id": {"const": f"t{line}"}, "tool": {"const": name}, "args": args}
        if name != "answer" and (above := self._above(line)):
            fields["deps"] = self._share({"type": "array", "items": {"enum": above}, "minItems": 1})
        return _object(fields, ["id", "tool", "args"])

    def _objects(self, tool: Tool, line: int) -> list[Schema]:
        """Return the schemas of a call's arguments: one, or several if one argument needs another."""
        placed = [p for p in tool.parameters if p.kind.name.startswith("POSITIONAL")]
        others = [p for p in tool.parameters if p.kind.name == "KEYWORD_ONLY"]
        rest = next((p for p in tool.parameters if p.kind.name == "VAR_POSITIONAL" and is_nameable(p.name)), None)
        chain = [p for p in placed if p.kind.name == "POSITIONAL_ONLY"]
        free = [p for p in placed if p not in chain]
        needed = sum(p.required for p in chain)
        found = []
        for count, more in product(range(len(chain), needed - 1, -1), (rest, None) if rest else (None,)):
            if more is not None and count < len(chain):
                continue
            must = {p.name for p in chain[:count]} | ({p.name for p in placed} if more else set())
            fields: dict[str, Schema] = {}
            for p in (*chain[:count], *free, *([more] if more else []), *others):
                schema = self._argument(p, line, many=p is more) if is_nameable(p.name) else {}
                if schema:
                    fields[p.name] = schema
                must |= {p.name} if p.required or p is more else set()
            if must <= fields.keys():
                found.append(self._share(_object(fields, [name for name in fields if name in must])))
        return found

    def _argument(self, parameter: Parameter, line: int, *, many: bool) -> Schema:
        domain = domain_of(parameter.hint) if parameter.check else any_domain()
        return self.value(Domain("list", parts=(domain,)) if many else domain, line)

    # ---------------------------------------------------------------- values

    def _value(self, domain: Domain, line: int) -> Schema:
        """Return the schema of a value: a literal of a domain, or a reference."""
        return self._any([*self._literals(domain, line), self._reference(line)])

    def _reference(self, line: int) -> Schema:
        ids = "|".join(self._above(line))
        options = [rf"\$({ids}){_PATH}"] if ids else []
        options += [f"@({'|'.join(self.inputs)}){_PATH}"] if self.inputs else []
        return self._share(_text("|".join(options))) if options else {}

    def _literals(self, domain: Domain, line: int) -> list[Schema]:  # noqa: C901, PLR0911 - one case for each kind
        parts = [self.value(part, line) for part in domain.parts] if domain.kind != "union" else []
        match domain.kind:
            case "text":
                ids = "|".join(self._above(line))
                within = rf"|\$\{{({ids}){_PATH}\}}" if ids else ""
                return [self._share(_text(rf"(({_FIRST}|@@|\$\${within})({_PLAIN}|\$\${within})*)?"))]
            case "integer" | "number" | "boolean" as kind:
                return [{"type": kind}]
            case "none":
                return [{"type": "null"}]
            case "date":
                return [self._share(_text(_DATE))]
            case "datetime":
                return [self._share(_text(_DATE + _TIME))]
            case "values":
                return [{"enum": [escaped(value) for _, value in domain.values]}] if domain.values else []
            case "union":
                return [each for part in domain.parts for each in self._literals(part, line)]
            case "list":
                return [{"type": "array", "items": parts[0]} if parts[0] else {"type": "array", "maxItems": 0}]
            case "fixed":
                return [_fixed(parts)] if all(parts) else []
            case "table":
                return [{"type": "object", "additionalProperties": parts[0] or False}]
            case "record":
                fields = {name: self.value(each, line) for name, each, _ in domain.fields}
                must = [name for name, _, required in domain.fields if required]
                kept = {name: schema for name, schema in fields.items() if schema}
                return [_object(kept, must)] if kept.keys() >= set(must) else []
        return []


def _fixed(parts: list[Schema]) -> Schema:
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def _object(fields: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def _text(pattern: str) -> Schema:
    return {"type": "string", "pattern": f"^({pattern})$"}


def escaped(value: Any) -> Any:
    """Return a constant as a plan writes it: a text in which nothing is a reference."""
    if not isinstance(value, str):
        return value
    escaped = value.replace("$", "$$")
    return f"@{escaped}" if value.startswith("@") else escaped
