"""What the python dialect refuses, in words, and what to write instead.

Each hint, followed, gives a plan that makes the same calls under the same conditions. A test tries all of them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection
from typing import Final

from compiler_nb.operations import idioms
from compiler_nb.operations.functions import FUNCTIONS, METHODS
from compiler_nb.plan.builder import free_name
from compiler_nb.plan.check import Refused
from compiler_nb.signature.names import NAME_LIMIT
from compiler_nb.text import suggest

HINT: Final = 500
"""Most characters of a plan's text that a hint repeats in other words."""

SHOWN: Final = 20
"""Most names that a message lists."""

# -------------------------------------------------------------------- statements

_GUARD: Final = (
    "write name = tool(...) if test else other(...), None for what a branch does not call, and an answer as "
    "answer(a if test else b)"
)
COMPOUND: Final = {
    "for": "write name = [tool(x) for x in xs]", "while": "leave it out and end with join(), which may ask for more",
    "if": _GUARD, "elif": _GUARD, "else": _GUARD, "def": "call the tools instead",
    "class": "call the tools instead", "with": "call the tools one by one",
    "try": "leave out the line: a failed call is reported by itself", "except": "leave out the block",
    "finally": "call its tools without it", "match": _GUARD, "case": _GUARD,
    "async": "leave out async", "@": "call the tools instead",
}  # fmt: skip
"""What to write instead of a statement with a block."""
CONTINUES: Final = frozenset({"elif", "else", "except", "finally", "case"})
"""Words that continue a statement after its block."""
_SIMPLE: Final = {
    "import": "call the tools instead", "from": "call the tools instead",
    "global": "leave it out", "nonlocal": "leave it out", "raise": "leave it out", "assert": "leave it out",
    "return": "write answer(value)", "yield": "write answer(value)", "pass": "leave it out", "del": "leave it out",
    "break": "leave it out", "continue": "leave it out",
}  # fmt: skip
_LINE: Final = "a line of a plan is name = expression, a call of a tool, join(...) or answer(...)"
_IN_PLACE: Final = "a plan cannot change a value in place: give the changed value a name of its own"
_ASSIGNMENTS: Final[dict[type, str]] = {
    ast.Subscript: _IN_PLACE,
    ast.Attribute: _IN_PLACE,
    ast.Starred: "a star is not allowed here: write name = tool(...), then first = name[0] and rest = name[1:]",
    ast.AnnAssign: "leave out the annotation: name = tool(...)",
}
"""What to write instead of an assignment, by its target or its own kind."""
_SAID: Final = {
    "unmatched": "leave out this bracket, which closes nothing",
    "closing parenthesis": "close each bracket by its own kind",
    "f-string": "only values stand in the braces of an f-string",
    "expected 'else'": "a guard needs both branches, tool(...) if test else None",
}
"""What to write instead, by how the message of Python's parser begins."""
_FORM: Final = "write name = tool(...), with text in quotes and commas between the arguments"
_MARKS: Final = {
    "$": "write the name of a task without $", "@": "write the name of an input without @",
    ":=": "an assignment is name = value", ":": 'a named argument is name=value, and a dict is {"key": value}',
    "?": "write a if test else b", "!": "write not", "&": "write and", "|": "write or",
}  # fmt: skip
"""What to write instead of a sign of another language, at which Python's parser stops."""
_KEYWORD: Final = re.compile(r"\s*(@|[a-z]+\b)")
_CODE: Final = re.compile(r"\s*(?:await\s+)?[^\W\d]\w*\s*[=(\[,:+*/.-]")
_LINE_END: Final = re.compile(r"\r\n?|\n")
_CURLY: Final = re.compile("[\u2018-\u201f\u00ab\u00bb]")


def keyword(text: str) -> str:
    """Return what may be the keyword of a statement."""
    found = _KEYWORD.match(text)
    return found[1] if found else ""


def check_keyword(text: str) -> None:
    """Raise Refused if a statement begins with a keyword that no line of a plan begins with."""
    word = keyword(text)
    hint = COMPOUND.get(word) or _SIMPLE.get(word)
    # `match` and `case` are ordinary names too: only a line that ends in a colon is the statement.
    if hint and (word not in ("match", "case") or text.rstrip().endswith(":")):
        raise Refused("statement", f"`{word}` is not allowed in a plan: {hint}")


def no_line(statement: ast.AST) -> str:
    """Return what to write instead of a statement, or of a target, that no line of a plan is."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        written = ast.unparse(ast.BinOp(statement.target, statement.op, statement.value))
        return f"write it out: {statement.target.id} = {written if len(written) <= HINT else '...'}"
    if isinstance(statement, ast.Assign):
        return no_line(statement.targets[0])
    part = statement.target if isinstance(statement, ast.AugAssign) else statement
    return _ASSIGNMENTS.get(type(part), _LINE)


def line_named(text: str, error: SyntaxError) -> str:
    """Return the line that an error names, "" behind the last; for Python a lone carriage return ends a line, too."""
    lines, number = _LINE_END.split(text), error.lineno or 1
    return lines[number - 1] if number <= len(lines) else ""


def explain_syntax(text: str, error: SyntaxError) -> str:
    """Return what is wrong with a statement that Python cannot read, and what to write instead."""
    said, line = error.msg or "", line_named(text, error)
    here = line[max((error.offset or 1) - 1, 0) :]
    mark = here.lstrip("rRfFbBuU")[:1] or '"'
    if not _CODE.match(text):
        hint = "write name = tool(...), or # before a comment"
    elif _CURLY.search(line) and said.startswith(("invalid character", "unterminated")):
        return 'write straight quotes, "...", instead of curly ones'
    elif said.startswith("unterminated string"):
        other = f'write it in """...""" if it holds {mark} or goes over several lines'
        return f"the string that begins here is not closed: end it with {mark}, or {other}"
    else:
        hint = next((hint for begin, hint in _SAID.items() if said.startswith(begin)), "")
        hint = hint or next((hint for begin, hint in _MARKS.items() if here.startswith(begin)), _FORM)
    return f"this is not a line of a plan ({said}): {hint}"


# -------------------------------------------------------------------- expressions

_METHODS: Final = {
    **{name: f"{name}(value) of a list or a column" for name in ("any", "all")},
    "to_list": "value.tolist()", "format": "an f-string", "append": "value + [item]",
    "extend": "value + items", "sort": "sorted(value)",
    "apply": "[... for x in value]", "map": "[... for x in value]",
    "copy": "the value itself, which nothing changes", "union": "value | other", "update": "value | other",
    "splitlines": r'value.split("\n")', "query": 'a filter, df[df["age"] > 9]', "to_numpy": "value.tolist()",
    **dict.fromkeys(("iterrows", "itertuples"), '[... for row in df.to_dict("records")]'),
    "sample": "df.head(5)", "mode": 'df["x"].value_counts().idxmax()', "argmax": 'df["x"].idxmax()',
    "argmin": 'df["x"].idxmin()', "get_group": 'df[df["key"] == "a"]', "select_dtypes": 'df[["x", "y"]]',
    "unstack": 'df.pivot_table(index="key", columns="k", values="x")', "stack": 'df.melt(id_vars="key")',
    "where": 'df[df["x"] > 1]', "mask": 'df[~(df["x"] > 1)]', "eval": 'df["x"] + df["y"]',
    "to_csv": "answer(df) at the end, which shows it", "add": 'df["x"] + df["y"]', "sub": 'df["x"] - df["y"]',
    "mul": 'df["x"] * df["y"]', "div": 'df["x"] / df["y"]',
}  # fmt: skip
"""What to write instead of a method that is not allowed."""
OF_PANDAS: Final = {
    "Timestamp": 'pd.to_datetime("2024-01-31")', "Series": 'df["x"]',
    "DataFrame": 'pd.concat({"x": df["x"], "y": df["y"]}, axis=1)',
    "crosstab": 'df.pivot_table(index="key", columns="k", values="x", aggfunc="count")',
    "pivot_table": 'df.pivot_table(index="key", columns="k", values="x")', "melt": 'df.melt(id_vars="key")',
    "qcut": 'pd.cut(df["x"], 4)', "read_csv": "df, a table that the notebook has read and offers as an input",
}  # fmt: skip
"""What to write instead of a function of pandas that is not allowed."""
PLACES: Final = {"iat": "iloc", "at": "loc"}
"""What reads a single cell, and what to write instead; before brackets, neither is a field."""
BUILTINS: Final = {
    "print": "end the plan with answer(value), which is shown",
    "input": "offer a variable of the notebook as an input, and write its name here",
    "map": "write [tool(x) for x in xs]", "filter": "write [x for x in xs if test]",
    "iter": "leave it out: a list can be read as it is",
    **dict.fromkeys(("final_answer", "finish"), "end the plan with answer(value)"),
}  # fmt: skip
"""What to write instead of a builtin that is not allowed, if no tool has its name."""
SCORES: Final = "a key cannot call a tool: write scores = {x: tool(x) for x in xs} above, and key=lambda x: scores[x]"
_CONSTANTS: Final = {"true": "True", "false": "False", "null": "None", "none": "None", "undefined": "None"}


def describe(node: ast.AST) -> str:
    """Return what a part of an expression is called."""
    names = {
        ast.Starred: "a star", ast.Yield: "yield",
        ast.YieldFrom: "yield", ast.Slice: "a slice", ast.FormattedValue: "a format",
    }  # fmt: skip
    if isinstance(node, ast.Constant):
        return "..." if node.value is Ellipsis else f"a {type(node.value).__name__} literal"
    return names.get(type(node), type(node).__name__)


def no_name(name: str, known: list[str], is_tool: Callable[[str], bool], *, text: bool, method: str) -> str:
    """Return what an unknown name may have meant, as sentences that follow a full stop.

    text: whether it may be a text that lacks its quotes; method: what is called on it.
    """
    hint = suggest(name, known)
    names = sorted(filter(str.isidentifier, known))[:SHOWN]
    there = f" There are: {', '.join(names)}" if names else " There are no names above this line"
    if name.lower() in _CONSTANTS:
        hint = f" Did you mean {_CONSTANTS[name.lower()]}?"
    elif not hint and method and name in FUNCTIONS:
        hint = f" Write value.{method}(...) with a value of your own"
    elif not hint and name in ("np", "numpy") and method in (*idioms.METHODS, *FUNCTIONS):
        hint = f" Write {f'value.{method}()' if method in idioms.METHODS else f'{method}(value)'} of a column"
    elif not hint and method and is_tool(method):
        hint = f" Call the tool itself: {method}(...)"
    elif not hint and method and method not in METHODS and method not in idioms.METHODS:
        hint = f"{there}; modules cannot be used in a plan"
    elif not hint and not method and (is_tool(name) or name in FUNCTIONS):
        hint = f" To use what it computes, call it: {name}(...)"
    if not text or name in FUNCTIONS:
        return hint or there
    return f'{hint}{"." if hint.endswith(")") else ""} Text stands in quotes: "{name[:NAME_LIMIT]}"'


def no_method(node: ast.Attribute) -> str:
    """Return that a method cannot be called, and what to write instead."""
    shown = node.attr[:NAME_LIMIT]
    if shown in _METHODS:
        return f".{shown}() cannot be called in a plan: use a tool, or write {_METHODS[shown]}"
    near = suggest(shown, [*METHODS, *idioms.METHODS], 0.8)
    return f".{shown}() cannot be called in a plan: use a tool.{near or f' Only these can: {spell_methods()}'}"


def spell_methods() -> str:
    """Return the methods that a plan may call in words: `of text split, ...; of dicts get, ...; of tables ...`."""
    owned = {"text": str, "dicts": dict, "lists": list}
    named = {owner: [name for name, kinds in METHODS.items() if kind in kinds] for owner, kind in owned.items()}
    return "; ".join([*(f"of {owner} {', '.join(names)}" for owner, names in named.items()), f"of tables {_TABLES}"])


_TABLES: Final = "those of pandas that compute, pd.concat, but no apply, map, query"
"""The idioms of tables as a planner is told of them: it knows pandas, and all names would fill a page."""


def no_function(name: str) -> str:
    """Return that a function of pandas cannot be called, and which ones can."""
    shown = name[:NAME_LIMIT]
    there = ", ".join(f"pd.{each}" for each in idioms.FUNCTIONS)
    instead = f" Write {OF_PANDAS[shown]}" if shown in OF_PANDAS else ""
    hint = instead or suggest(shown, idioms.FUNCTIONS, 0.8) or f" There are {there}"
    return f"pd.{shown}() cannot be called in a plan: use a tool.{hint}"


def no_attribute(node: ast.Attribute) -> str:
    """Return that an attribute cannot be read, and what to write instead."""
    shown = node.attr[:NAME_LIMIT]
    if shown.startswith("_"):
        return f"the attribute .{shown} cannot be read: use a tool"
    if shown in PLACES:
        return f"cells cannot be read by .{shown} in a plan: write .{PLACES[shown]}[...]"
    return f'attributes cannot be read in a plan (.{shown}): a column or a key is value["{shown}"]'


def only_effect(name: str) -> str:
    """Return that a call with side effects must be the only one of its fan-out."""
    return (
        f"{name} has side effects: it must be the only call of its fan-out, apart from those in its test; "
        "make the others in a fan-out above"
    )


def as_guards(
    node: ast.BoolOp, holds_call: Callable[[ast.expr], bool], known: Collection[str] | None, *, is_whole: bool
) -> str:
    """Return how to write calls under `and` or `or` as guarded calls, which are made under the same conditions.

    known: the names in sight; None if no line above can give another, as in an element of a fan-out.
    """
    lines: list[str] = []
    found = node.values[0]
    for part in node.values[1:]:
        left: ast.expr = found
        if holds_call(found) and holds_call(part):
            if known is None:
                left = ast.Constant(None)
            else:  # the first value is read twice, so it needs a name
                name = free_name("first", {*known, *lines})
                lines += [name, f"{name} = {ast.unparse(found)}"]
                found = left = ast.Name(name)
        if not holds_call(part):
            found = ast.BoolOp(node.op, [found, part])
        elif isinstance(node.op, ast.And):
            found = ast.IfExp(found, part, left)
        else:
            found = ast.IfExp(found, left, part)
    text = ast.unparse(found)
    text = text if is_whole else f"({text})"
    above = " and ".join(f"{line} above" for line in lines[1::2])
    hint = f"write {above}, and here {text}" if lines else f"write {text}"
    return hint if len(hint) <= HINT else "write name = tool(...) if test else None"
