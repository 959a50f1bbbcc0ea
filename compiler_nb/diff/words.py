"""A comparison of two runs in words: its headline, its rows, and all of it as text that is the same for equal runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from compiler_nb.diff.asked import AskedDiff, line_diff
from compiler_nb.diff.compared import Compared, ItemsDiff, Names, TaskComparison
from compiler_nb.diff.contents import ContentDiff
from compiler_nb.diff.figures import Figures
from compiler_nb.drawing.text import text_table
from compiler_nb.plan.matching import DiffKind
from compiler_nb.plan.short import shorten_call
from compiler_nb.text import count_of, cut, seconds_text, visible
from compiler_nb.trace import PLANNER, path_text
from compiler_nb.trace.costs import Cost

MARKS: Final[Mapping[DiffKind, str]] = {
    "changed": "~", "added": "+", "dropped": "-", "affected": "↓", "renamed": "=", "same": "=",
}  # fmt: skip
WORDS: Final[Mapping[DiffKind, str]] = {
    "changed": "changed", "added": "added", "dropped": "dropped", "affected": "affected", "renamed": "renamed",
    "same": "the same",
}  # fmt: skip
NAMED: Final = 4
"""Items, edges and arguments that are named; the others are counted."""
LINES: Final = 40
"""Lines of an answer or a prompt that are shown; the others are counted."""
CALL, VALUE, ANSWER = 90, 120, 2_000
WIDTH: Final = 200


class FigureRow(NamedTuple):
    """A figure of both runs in words.

    is_time: whether it differs from run to run by itself; is_same: whether it is the same though the words are not.
    """

    name: str
    before: str
    after: str
    is_time: bool = False
    is_same: bool = False

    @property
    def differs(self) -> bool:
        """Whether it is told for each run: times always are."""
        return self.is_time or not (self.is_same or self.before == self.after)


def headline(found: Compared) -> str:
    """Return what differs, in one line without times."""
    values = sum(task.content.kind == "changed" for task in found.tasks)
    differ = f"{count_of(values, 'value')} {'differs' if values == 1 else 'differ'}" if values else ""
    return "; ".join(filter(None, (_plans(found), differ, _answers(found))))


def _plans(found: Compared) -> str:
    counts = {kind: len(found.of(kind)) for kind in MARKS}
    told = ", ".join(f"{counts[kind]:,} {WORDS[kind]}" for kind in MARKS if counts[kind])
    if not told:
        return "no plans to compare"
    if counts["same"] + counts["renamed"] < len(found.tasks):
        return f"tasks: {told}"
    return f"the plans do the same ({told})" if counts["renamed"] else "the plans are the same"


def _answers(found: Compared) -> str:
    names, kind = found.names, found.answer.kind
    lacks = {"added": names[0], "dropped": names[1]}
    if kind in lacks:
        return f"{lacks[kind]} has no answer"
    if kind == "unknown":
        return "the answers cannot be compared"
    if not found.answer.before:
        return "neither has an answer"
    return "the answers are the same" if kind == "same" else "the answers differ"


# ---------------------------------------------------------------- tasks


def told_tasks(found: Compared) -> list[TaskComparison]:
    """Return the tasks of which there is something to tell: all but the same ones with the same values."""
    return [task for task in found.tasks if task.kind != "same" or value_words(task)]


def line_words(task: TaskComparison) -> str:
    """Return what became of a task's line: the arguments that changed, or its call."""
    if task.kind == "renamed":
        return "renamed" if task.plan.rounds[0] == task.plan.rounds[1] else _moved(task)
    if task.kind == "same":
        return _moved(task)
    if not task.changes:
        return shorten_call(task.plan.task, CALL)
    told = []
    for each in task.changes[:NAMED]:
        words = " → ".join(text or "(none)" for text in each.short(CALL // 2))
        told.append(f"{cut(each.part, CALL)}: {words}" if each.part else words)
    more = [f"{len(task.changes) - NAMED} more"] if len(task.changes) > NAMED else []
    return "; ".join([*told, *more])


def _moved(task: TaskComparison) -> str:
    before, after = task.plan.rounds
    return "" if before == after else f"round {before + 1} → round {after + 1}"


def value_words(task: TaskComparison) -> str:
    """Return how what came of a task differs, "" if it does not; of an added or dropped task, what came of it."""
    content, states = task.content, task.states
    if content.kind in ("added", "dropped") and None not in states:  # one of them has not ended
        return f"{states[0]} → {states[1]}"
    if content.kind in ("added", "dropped"):
        return content.after or content.before
    items = items_words(task.items) if task.items is not None else ""
    failed = " → ".join(str(state) for state in states) if content.kind == "changed" and states[0] != states[1] else ""
    return "; ".join(filter(None, (failed, items, "" if items and content.places else content.words)))


def items_words(items: ItemsDiff) -> str:
    """Return how the items of a fan-out differ, "" if they do not."""
    groups = (("with other values", items.changed), ("added", items.added), ("dropped", items.dropped))
    told = [
        f"{_listed(keys)} {what}" if what != "other values" else f"other values of {_listed(keys)}"
        for what, keys in groups
        if keys
    ]
    unknown = [f"{count_of(items.unknown, 'item')} cannot be compared"] if items.unknown else []
    same = [f"{count_of(items.same, 'item')} the same"] if told and items.same else []
    return ", ".join([*told, *unknown, *same])


def _listed(keys: Iterable[str]) -> str:
    every = [cut(key, 24) for key in keys]
    return ", ".join(every[:NAMED]) + (f" and {len(every) - NAMED:,} more" if len(every) > NAMED else "")


def marks_of(found: Compared) -> dict[int, str]:
    """Return a word on what came of each pair of tasks, by place: whether the values differ, and what failed."""
    marks = {}
    for place, task in enumerate(found.tasks):
        lost = [state in ("failed", "skipped", "cancelled") for state in task.states]
        if any(lost):
            where = "" if None in task.states else " in both" if all(lost) else f" in {found.names[lost[1]]}"
            marks[place] = f"{task.states[lost[1]] if not all(lost) else task.states[1]}{where}"
        elif task.content.kind == "changed":
            marks[place] = "≠ value"
    return marks


def edge_words(found: Compared) -> list[str]:
    """Return the edges between tasks that stand in both plans and that only one plan has, a line for each kind."""
    lines = []
    for kind, sign in (("added", "+"), ("dropped", "-")):
        inner = [
            f"{found.tasks[one].id} → {found.tasks[other].id}"
            for (one, other), what in found.edges.items()
            if what == kind and not {found.tasks[one].kind, found.tasks[other].kind} & {"added", "dropped"}
        ]
        if inner:
            lines.append(f"{sign} {count_of(len(inner), 'edge')} between tasks of both: {_listed(inner)}")
    return lines


# ---------------------------------------------------------------- figures


def figure_rows(found: Compared) -> list[FigureRow]:
    """Return the figures of both runs in words."""
    one, other = found.figures

    def row(name: str, tell: Callable[[Figures], str], *, is_time: bool = False, is_same: bool = False) -> FigureRow:
        return FigureRow(name, tell(one), tell(other), is_time, is_same)

    rows = [
        row("tasks", lambda each: f"{each.tasks:,}"),
        row("items of fan-outs", lambda each: f"{each.items:,}"),
        row("rounds", lambda each: f"{each.rounds:,}"),
        row("widest level", lambda each: f"{each.width:,}"),
        row("levels", lambda each: f"{each.levels:,}"),
        row("longest chain", lambda each: path_text(each.critical_path), is_same=_same_chain(found)),
        row("planner's tokens", lambda each: _used(each.costs.roles.get(PLANNER, Cost()))),
        row("all tokens", lambda each: _used(each.costs.total)),
        row("calls of models", lambda each: f"{each.costs.total.usage.calls:,}"),
        row("shares", lambda each: str(each.costs)),
        row("tasks without a value", lambda each: f"{each.failures:,}"),
        row("time", lambda each: seconds_text(each.seconds), is_time=True),
    ]
    return [row for row in rows if row.before not in ("0", "") or row.after not in ("0", "")]


def same_figures(found: Compared) -> str:
    """Return the figures that are the same in both, in one line."""
    return ", ".join(f"{row.name} {row.after}" for row in figure_rows(found) if not row.differs)


def _same_chain(found: Compared) -> bool:
    """Whether the longest chains of both are of the same pairs of tasks."""
    later = {task.plan.before.id: task.id for task in found.tasks if task.plan.before is not None}
    one, other = (each.critical_path for each in found.figures)
    return tuple(later.get(id_) for id_ in one) == other


def _used(cost: Cost) -> str:
    used = cost.usage
    parts = f" ({used.input_tokens:,} sent, {used.output_tokens:,} received)"
    return ", ".join(filter(None, (f"{cost.tokens}{parts}", cost.money))) if used.calls else ""


# ---------------------------------------------------------------- answers and prompts


def answer_lines(answer: ContentDiff, texts: Names | None) -> list[str]:
    """Return both answers as lines behind "- " and "+ "; texts: both, if they are texts."""
    if answer.kind == "same":
        return (
            [f"  {line}" for line in _few((texts[0] if texts else answer.before).split("\n"))] if answer.before else []
        )
    if texts is not None and texts[0].count("\n") + texts[1].count("\n") > 1:
        return _few([visible(line) for line in line_diff(*texts)])
    sides = texts or (answer.before, answer.after)
    lines = [f"{sign} {cut(side, ANSWER)}" for sign, side in zip("-+", sides, strict=True) if side]
    return [*lines, *(f"  {place}" for place in answer.places)] + ([f"  {answer.note}"] if answer.note else [])


def answer_texts(found: Compared) -> Names | None:
    """Return both answers if they are texts; None otherwise."""
    one, other = found.before.answer, found.after.answer
    return (one, other) if type(one) is str and type(other) is str else None


def _few(lines: list[str]) -> list[str]:
    return [*lines[:LINES], *([f"… {len(lines) - LINES:,} more lines"] if len(lines) > LINES else [])]


# ---------------------------------------------------------------- all of it


def text_of(found: Compared, *, times: bool = False) -> str:
    """Return all of a comparison as text; times: whether seconds are told."""
    one, other = found.names
    parts = [
        f"{one} → {other}: {headline(found)}",
        "\n".join(f"note: {visible(note)}" for note in found.notes),
        _part("asked differently", _asked_lines(found)),
        _part("tasks", _task_lines(found)),
        _part("last lines", _final_lines(found)),
        _part(
            "the answer of both" if found.answer.kind == "same" else "answers",
            answer_lines(found.answer, answer_texts(found)),
        ),
        _part("figures", _figure_lines(found, times=times)),
    ]
    return "\n\n".join(part for part in parts if part)


def _part(name: str, lines: Iterable[str]) -> str:
    every = [f"  {line}" for line in lines]
    return "\n".join([name, *every]) if every else ""


def _asked_lines(found: Compared) -> Iterator[str]:
    for each in found.asked:
        if each.lines:
            yield prompt_words(each)
            yield from (f"  {cut(line, WIDTH)}" for line in _few(list(each.lines)))
        else:
            yield f"{each.what}: {visible(each.before)} → {visible(each.after)}"


def prompt_words(each: AskedDiff) -> str:
    """Return how many lines of a prompt differ."""
    return f"{each.what}: {count_of(len(each.lines), 'line')} {'differs' if len(each.lines) == 1 else 'differ'}"


def _task_lines(found: Compared) -> list[str]:
    rows = [
        (MARKS[task.kind], cut(task.plan.names, 40), line_words(task), cut(value_words(task), VALUE))
        for task in told_tasks(found)
    ]
    table = text_table(rows, WIDTH).split("\n") if rows else []
    return [*table, *edge_words(found)]


def _final_lines(found: Compared) -> list[str]:
    differ = [each for each in found.rounds if each.finals[0] != each.finals[1]]
    many = len(found.rounds) > 1
    lines = []
    for each in differ:
        where = f"round {each.number + 1}: " if many else ""
        lines += [f"{sign} {where}{final}" for sign, final in zip("-+", each.finals, strict=True) if final]
    return lines


def _figure_lines(found: Compared, *, times: bool) -> list[str]:
    rows = [
        (row.name, row.before, row.after) for row in figure_rows(found) if row.differs and (times or not row.is_time)
    ]
    table = text_table([("", *found.names), *rows], WIDTH).split("\n") if rows else []
    same = same_figures(found)
    return [*table, *([f"the same: {same}"] if same else [])]
