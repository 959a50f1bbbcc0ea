"""Completion: options and their values, verbs, tools, models, variables."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from IPython.core.completer import CompletionContext, SimpleCompletion

from compiler_nb.engine.cluster.engine import DaskEngine
from compiler_nb.models.base import Model
from compiler_nb.models.providers import HAND, PROVIDERS
from compiler_nb.notebook.options import BY_FLAG, VIEWS, listed
from compiler_nb.notebook.shipped import SHIPPED
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.notebook.verbs.prompts import ROLES
from compiler_nb.notebook.verbs.table import VERBS
from compiler_nb.prompts import SLOTS
from compiler_nb.prompts.saved import saved_prompts
from compiler_nb.run import Run
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.language import make_language_tools
from compiler_nb.toolbox.mcp import McpTools

_HEAD = re.compile(r"\s*(%{1,2})(compile|plan|prompt)(?=\s|$)")
_REFERENCE = re.compile(r"[@{]([^\W\d]?\w*)$")


_WORD = re.compile(r"(?<![\w.])[^\W\d]\w*$")
_NAME = re.compile(r"[^\W\d]\w*")
_ASSIGNED = re.compile(r"^((?:[^\W\d]\w*\s*[,=]\s*)+)(?!=)", re.MULTILINE)
"""The names before the `=` of a plan's line."""
_SLOT = re.compile(r"\{\{(\w*)$")
_WORDS = {"prompt": [*ROLES, "list"], "example": ["add", "list", "drop", "ablate"], "cache": ["show", "clear"]}
"""Words that verbs take first."""
TYPES = ("bool", "DataFrame", "date", "dict", "float", "int", "list[dict]", "list[float]", "list[str]", "str")
"""Types that `--as` is often given."""
_NOT_TOOLS: Final = ("IPython", "compiler_nb")
Found = tuple[str, list[str]]
"""The part of a word that is typed already, and the words that begin with it."""


def candidates(text: str, names: Namespace) -> Found | None:
    """Return what completes the end of `text`, the cell up to the cursor; None if nothing of ours does."""
    line = text[text.rfind("\n") + 1 :]
    first = next((each for each in text.split("\n") if each.strip() and not each.lstrip().startswith("#")), "")
    head = _HEAD.match(first)
    if head and head[1] == "%%" and first != line:
        return _in_body(text, line, names, head[2])
    head = _HEAD.match(line)
    if not head or len(line) == head.end():
        return None
    words = line[head.end() :].split(" ")
    typed, before = words[-1], [word for word in words[:-1] if word]
    if head[2] == "prompt":
        return _that_begin(typed, _saved(before[0]) if before else SLOTS)
    return (_in_line if head[1] == "%%" else _after_verb)(typed, before, names)


def _after_verb(typed: str, before: list[str], names: Namespace) -> Found:
    """Return verbs, and what stands behind one."""
    if not before:
        return _that_begin(typed, VERBS)
    if before[-1] in ("--start", "--override", "why", "approve", "deny", "skip", "retry", "set"):
        return _that_begin(typed, _tasks(names))
    verb = VERBS.get(before[0])
    if verb and any(before[-1] in option.flags and option.value for option in verb.shared):
        return _values(before[-1], typed, names)
    if before[0] == "prompt" and before[-1] == "--edit":
        return _that_begin(typed, _saved(before[1]))
    words = [*(_WORDS.get(before[0], ()) if len(before) == 1 else ()), *(verb.values if verb else ())]
    return _that_begin(typed, [*words, *(_models(names) if before[0] == "model" else [*_of(names, Run), "-1"])])


def _in_body(text: str, line: str, names: Namespace, magic: str) -> Found | None:
    """Return variables after `@` or `{` in a question; in a plan the names above, tools, and variables it may read."""
    if magic == "prompt":
        slot = _SLOT.search(line)
        return _that_begin(slot[1], [f"{each}}}}}" for each in SLOTS["planner"]]) if slot else None
    reference = _REFERENCE.search(line)
    if magic == "compile":
        return _that_begin(reference[1], names.visible()) if reference else None
    word = _WORD.search(line)
    if word is None:
        return None
    above = [name for names_ in _ASSIGNED.findall(text[: len(text) - len(line)]) for name in _NAME.findall(names_)]
    offered = make_language_tools(share="all")
    tools = [*(each.name for each in (*names.tools().values(), *offered)), *SHIPPED]
    return _that_begin(word[0], [*above, *tools, *names.offered(), "answer", "join"])


def _in_line(typed: str, before: list[str], names: Namespace) -> Found | None:
    flag, equals, value = typed.partition("=")
    if equals and flag in BY_FLAG:
        return _values(flag, value, names)
    if before and before[-1] in BY_FLAG and BY_FLAG[before[-1]].value:
        return _values(before[-1], typed, names)
    if typed.startswith("-"):
        return _that_begin(typed, [flag for option in listed() for flag in option.flags])
    return None


def _values(flag: str, typed: str, names: Namespace) -> Found:
    option, last = BY_FLAG[flag], typed[typed.rfind(",") + 1 :]
    values: dict[str, Callable[[], Iterable[str]]] = {
        "display": lambda: VIEWS,
        "tools": lambda: [*_of(names, (Tool, Toolbox, McpTools)), *_functions(names), *SHIPPED],
        "approve": lambda: ["ask", "auto", "deny", *_of(names, Tool)],
        "inputs": names.visible,
        "engine": lambda: ["local", "dask", *_of(names, DaskEngine)],
        **dict.fromkeys(("source", "after"), lambda: [*_of(names, Run), "-1"]),
        "override": lambda: _tasks(names),
        "answer_type": lambda: [*_of(names, type), *TYPES],
        "variants": lambda: ["base", *_of(names, dict), *(each.name for each in saved_prompts())],
        "planner_prompt": lambda: _saved("planner"),
        "joiner_prompt": lambda: _saved("joiner"),
        **dict.fromkeys(("record", "replay"), lambda: sorted(map(str, Path().glob("*.jsonl")))),
        **dict.fromkeys(("model", "planner", "joiner", "worker"), lambda: _models(names)),
    }
    return _that_begin(last, values[option.field]() if option.field in values else option.choices)


def _saved(role: str) -> list[str]:
    """Return the names of the prompts of a role that are saved in this session; a file is not read for that."""
    return [each.name for each in saved_prompts() if each.role == role]


def _models(names: Namespace) -> list[str]:
    own = [name for name, value in names.visible().items() if isinstance(value, Model) and not isinstance(value, type)]
    return [*own, *(f"{provider}:" for provider in PROVIDERS), HAND]


def _of(names: Namespace, kinds: Any) -> list[str]:
    return [name for name, value in names.visible().items() if isinstance(value, kinds)]


def _functions(names: Namespace) -> list[str]:
    """Return the notebook's own functions, without those that IPython and this package have put there."""
    found = {name: names.visible()[name] for name in _of(names, types.FunctionType)}
    return [name for name, each in found.items() if str(each.__module__).partition(".")[0] not in _NOT_TOOLS]


def _tasks(names: Namespace) -> list[str]:
    runs = [value for value in names.visible().values() if isinstance(value, Run)]
    return [name for run in runs for name in run._ipython_key_completions_()]


def _that_begin(typed: str, words: Iterable[str]) -> Found:
    return typed, [word for word in dict.fromkeys(words) if word.startswith(typed)]


def match(context: CompletionContext, names: Namespace) -> dict[str, Any]:
    """Return what completes the text at the cursor, in the shape of IPython's matchers; others are then suppressed."""
    lines = context.full_text.split("\n")[: context.cursor_line + 1]
    lines[-1] = lines[-1][: context.cursor_position]
    typed, words = candidates("\n".join(lines), names) or ("", [])
    done = max(len(typed) - len(context.token), 0)
    shown = [SimpleCompletion(text=word[done:], type="option") for word in words]
    return {"completions": shown, "suppress": bool(words)}
