"""What two runs were asked differently: question, inputs, models, settings, tools, and the lines of their prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from compiler_nb.diff.contents import NO, Comparer
from compiler_nb.events import RunStarted
from compiler_nb.prompts.changes import mark_lines
from compiler_nb.run import Run
from compiler_nb.settings.settings import PLAIN, ROLES
from compiler_nb.text import count_of, cut, shorten_value

_VALUE: Final = 200


class AskedDiff(NamedTuple):
    """One thing that two runs were asked differently, in words.

    lines: of a prompt, those that are only in one of them, behind "- " (the earlier run's) or "+ "; else ().
    """

    what: str
    before: str
    after: str
    lines: tuple[str, ...] = ()


def asked(before: Run, after: Run, comparer: Comparer) -> tuple[AskedDiff, ...]:
    """Return what two runs were asked differently."""
    return tuple(_found(before, after, comparer))


def _found(before: Run, after: Run, comparer: Comparer) -> Iterator[AskedDiff]:
    if before.question != after.question:
        one, other = (cut(run.question, _VALUE) or "(a plan)" for run in (before, after))
        yield AskedDiff("question", one, other)
    for name in dict.fromkeys((*before.inputs, *after.inputs)):
        found = comparer.compare(before.inputs.get(name, NO), after.inputs.get(name, NO))
        if found.kind != "same":
            yield AskedDiff(f"input {name}", found.before or "(not offered)", found.after or "(not offered)")
    models = [_models(run) for run in (before, after)]
    for role in ROLES:
        one, other = (each.get(role, "") for each in models)
        if one != other:
            yield AskedDiff(f"{role}'s model", one or "(not asked)", other or "(not asked)")
    for name in PLAIN:
        values = [getattr(run.settings, name) for run in (before, after)]
        if values[0] != values[1]:
            yield AskedDiff(name, shorten_value(values[0]), shorten_value(values[1]))
    yield from _tools_and_prompts(before, after)


def _tools_and_prompts(before: Run, after: Run) -> Iterator[AskedDiff]:
    tools = [_tools(run) for run in (before, after)]
    if all(tools) and set(tools[0]) != set(tools[1]):
        own = ([name for name in each if name not in rest] for each, rest in (tools, reversed(tools)))
        one, other = (cut(", ".join(names), _VALUE) or "(no other)" for names in own)
        yield AskedDiff("tools", one, other)
    for role in ROLES[:2]:
        prompts = [_prompt(run, role) for run in (before, after)]
        if all(prompts) and (lines := line_diff(*prompts)):
            names = [_saved(run, role) for run in (before, after)]
            which = f", {names[0]} → {names[1]}" if all(names) and names[0] != names[1] else ""
            yield AskedDiff(f"{role}'s prompt{which}", _own_lines(lines, "-"), _own_lines(lines, "+"), lines)


def _own_lines(lines: Sequence[str], sign: str) -> str:
    return f"{count_of(sum(line.startswith(sign) for line in lines), 'line')} of its own"


def _models(run: Run) -> dict[str, str]:
    """Return the models that were asked, by role; the last one of a role counts."""
    return {call.role: f"{call.provider}:{call.model}" for call in list(run.progress.calls.values())}


def _tools(run: Run) -> Sequence[str]:
    began = run.events[0] if run.events else None
    return began.tools if isinstance(began, RunStarted) else ()


def _saved(run: Run, role: str) -> str:
    """Return the name and version of the saved prompt of a role, "" if it has none."""
    began = run.events[0] if run.events else None
    label = began.prompts.get(role, "") if isinstance(began, RunStarted) else ""
    return "" if label.startswith("@") else label


def _prompt(run: Run, role: str) -> str:
    """Return the first instructions that were sent in a role, "" if there were none."""
    for call in list(run.progress.calls.values()):
        if call.role == role and not call.task:
            return "\n".join(each["content"] for each in call.messages if each["role"] == "system")
    return ""


def line_diff(before: str, after: str) -> tuple[str, ...]:
    """Return the lines that are only in one of two texts, in order, without blank ones: "- old", "+ new"."""
    marked = mark_lines(f"{before}\n", f"{after}\n")  # else a last line differs from one that is followed by others
    return tuple(line for line in marked.split("\n") if line[:2].strip() and line[2:].strip())
