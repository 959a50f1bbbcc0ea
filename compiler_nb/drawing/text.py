"""Text that is safe to show: one bounded line for any value or call, and a plan's tasks as a table.

No foreign code runs here: a value's own `__repr__` or `__str__` is never called (it may raise, hang, or build 100 MB),
only those of types that are known.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import math
import pathlib
import re
import sys
import unicodedata
import uuid
from collections import deque
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.plan.expression import spell
from compiler_nb.plan.task import Input, Join, Node, Plan, Ref, Return

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compiler_nb.outcome import State
    from compiler_nb.plan.task import Final as FinalLine, Task, Tree

MARKS: Final[Mapping[str, str]] = {
    "waiting": "·", "ready": "○", "running": "▸", "done": "✓", "failed": "✗", "skipped": "»", "cancelled": "■",
}  # fmt: skip
WIDTH: Final = 100
ROWS: Final = 40
_DEPTH: Final = 4
_ITEMS: Final = 6
_SORTED: Final = 50
_HIDDEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]")
"""Characters that Python calls printable, and that show nothing."""
_SPACES: Final = "\u00a0\u3000"
_AS_TEXT: Final = frozenset({
    decimal.Decimal, fractions.Fraction, uuid.UUID, datetime.date, datetime.datetime, datetime.time,
    datetime.timedelta, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath,
})  # fmt: skip
_AS_CODE: Final = frozenset({type(None), bool, float, complex, range, type(...), type(NotImplemented)})
_BRACKETS: Final = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", deque: "[]"}


def visible(text: str) -> str:
    """Return a text with control, bidirectional and invisible characters written as escapes."""
    if text.isprintable() and not _HIDDEN.search(text):
        return text
    return "".join(char if _shows(char) else char.encode("unicode_escape").decode() for char in text)


def _shows(char: str) -> bool:
    return (char.isprintable() and not _HIDDEN.match(char)) or char in _SPACES


def cut(text: str, limit: int) -> str:
    """Return a text as one visible line of at most `limit` characters, the last being … where it was longer."""
    line = visible(text[: limit + 1])
    return line if len(line) <= limit else f"{line[: max(limit - 1, 0)]}…"


def quote(text: str, limit: int) -> str:
    """Return a string as a literal in double quotes where it can be; over the limit with its length."""
    shown = repr(text[:limit])
    if shown[0] == "'" and "'" not in shown[1:-1] and '"' not in shown:
        shown = f'"{shown[1:-1]}"'
    return visible(shown) + (f"… ({len(text):,} characters)" if len(text) > limit else "")


def shorten_value(value: Any, limit: int = 120) -> str:
    """Return any value as one safe line of at most `limit` characters; never raises, never takes long."""
    try:
        return cut(_describe(value, 0, max(limit - 32, 8)), limit)
    except Exception:  # noqa: BLE001 - a value may be broken in any way
        return cut(f"<{_name(value)}>", limit)


def _name(value: Any) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(type(value)))[:60]


def _describe(value: Any, depth: int, limit: int) -> str:
    kind = type(value)
    if kind is str:
        return quote(value, limit if depth == 0 else 40)
    if kind is int:
        return repr(value) if value.bit_length() < 200 else _large(value)  # noqa: PLR2004
    if kind in _AS_CODE:
        return repr(value)
    if kind is dict or kind in _BRACKETS:
        return _container(value, depth)
    if kind in (bytes, bytearray, memoryview):
        more = f"… ({len(value):,} bytes)" if len(value) > 30 else ""  # noqa: PLR2004
        return repr(bytes(value[:30])) + more
    if kind in _AS_TEXT:
        return str(value)
    return _known(value, depth) or f"<{_name(value)}>"


def _large(value: int) -> str:
    digits = int(abs(value).bit_length() * math.log10(2)) + 1
    return f"{'-' if value < 0 else ''}(an integer of about {digits:,} digits)"


def _container(value: Any, depth: int) -> str:
    kind, size = type(value), len(value)
    opening, closing = _BRACKETS.get(kind, "{}")
    if not size:
        return "set()" if kind in (set, frozenset) else opening + closing
    if depth >= _DEPTH:
        return f"{opening}…{closing}"
    if kind is dict:
        pairs = islice(value.items(), _ITEMS)
        parts = [f"{_describe(key, depth + 1, 40)}: {_describe(item, depth + 1, 40)}" for key, item in pairs]
    elif kind in (set, frozenset):
        if size > _SORTED:  # its order differs from process to process
            return f"{{{size:,} items}}"
        parts = sorted(_describe(item, depth + 1, 40) for item in value)[:_ITEMS]
    else:
        parts = [_describe(item, depth + 1, 40) for item in islice(value, _ITEMS)]
    if size > _ITEMS:
        parts.append(f"… {size - _ITEMS:,} more")
    return f"{opening}{', '.join(parts)}{',' if kind is tuple and size == 1 else ''}{closing}"


def _known(value: Any, depth: int) -> str:
    """Describe what is neither plain data nor foreign: outcomes, records, exceptions, functions, tables, arrays."""
    if isinstance(value, (Failure, Skipped, Cancelled)):
        return describe_outcome(value)
    if isinstance(value, BaseException):
        return _call(_name(value), [("", item) for item in value.args[:_ITEMS]], depth)
    if isinstance(value, enum.Enum):
        return f"{_name(value)}.{value._name_}"
    if isinstance(value, type):
        return f"<class {type.__dict__['__name__'].__get__(value)[:60]}>"
    if isinstance(value, tuple) and hasattr(type(value), "_fields"):
        return _call(_name(value), list(zip(type(value)._fields, tuple.__iter__(value), strict=False)), depth)
    if is_dataclass(value):
        shown = [part.name for part in fields(value) if part.repr]
        return _call(_name(value), [(name, getattr(value, name)) for name in shown[: _ITEMS + 1]], depth)
    return _from_library(value, depth)


def _call(name: str, arguments: Sequence[tuple[str, Any]], depth: int) -> str:
    if depth >= _DEPTH:
        return f"{name}(…)"
    parts = [f"{key}={_describe(item, depth + 1, 40)}" if key else _describe(item, depth + 1, 40)
             for key, item in arguments[:_ITEMS]]  # fmt: skip
    return f"{name}({', '.join(parts)}{', …' if len(arguments) > _ITEMS else ''})"


def _from_library(value: Any, depth: int) -> str:
    """Describe objects of libraries that are loaded already; asks for nothing that copies their data."""
    pandas, numpy, pydantic = (sys.modules.get(name) for name in ("pandas", "numpy", "pydantic"))
    if pandas and isinstance(value, pandas.DataFrame):
        rows, columns = value.shape
        names = ", ".join(cut(str(label) if type(label) is str else _describe(label, 2, 20), 24)
                          for label in value.columns[:4])  # fmt: skip
        return f"DataFrame {rows:,} × {columns:,} ({names}{', …' if columns > 4 else ''})"  # noqa: PLR2004
    if pandas and isinstance(value, pandas.Series):
        return f"Series {len(value):,} ({_describe(value.name, 2, 20)}, {value.dtype})"
    if pandas and isinstance(value, pandas.Timestamp):
        return str(value.isoformat())
    if numpy and isinstance(value, numpy.ndarray):
        return f"ndarray {' × '.join(f'{size:,}' for size in value.shape) or 'of one'} {value.dtype}"
    if numpy and isinstance(value, numpy.generic):
        item = value.item()
        return f"<{_name(value)}>" if isinstance(item, numpy.generic) else _describe(item, depth, 40)
    if pydantic and isinstance(value, pydantic.BaseModel):
        held = vars(value)
        shown = [(name, held.get(name)) for name, part in type(value).model_fields.items() if part.repr]
        return _call(_name(value), shown[: _ITEMS + 1], depth)
    shape = getattr(type(value), "shape", None)
    if shape is not None and type(value).__module__.partition(".")[0] in ("polars", "pyarrow", "xarray", "torch"):
        return f"{_name(value)} {' × '.join(f'{size:,}' for size in value.shape)}"
    return ""


def describe_outcome(outcome: Any, limit: int = 120) -> str:
    """Return how a task ended as one line: its value, or what went wrong."""
    if isinstance(outcome, Failure):
        return cut(f"{outcome.kind}: {outcome.message}", limit)
    if isinstance(outcome, (Skipped, Cancelled)):
        return cut(outcome.message if isinstance(outcome, Cancelled) else f"because {outcome.cause} failed", limit)
    return shorten_value(outcome, limit)


def shorten_tree(tree: Tree, limit: int = 60) -> str:
    """Return an argument tree as source text of at most `limit` characters."""
    kind = type(tree)
    if kind is Ref or kind is Input:
        text = tree.id if kind is Ref else tree.name
    elif isinstance(tree, Node):
        text = spell(tree, str)
    elif kind is dict and tree:
        pairs = [f"{shorten_tree(key)}: {shorten_tree(value)}" for key, value in islice(tree.items(), _ITEMS)]
        text = f"{{{', '.join(pairs)}{', …' if len(tree) > _ITEMS else ''}}}"
    elif kind in (list, tuple) and tree:
        opening, closing = _BRACKETS[kind]
        parts = [shorten_tree(item) for item in islice(tree, _ITEMS)] + ["…"] * (len(tree) > _ITEMS)
        text = f"{opening}{', '.join(parts)}{',' if kind is tuple and len(tree) == 1 else ''}{closing}"
    else:
        text = shorten_value(tree, limit)
    return cut(text, limit)


def shorten_call(task: Task, limit: int = 60) -> str:
    """Return what a task computes as one line: `weather("New York", days=3)`, or its expression."""
    if task.kind != "call":
        return shorten_tree(task.args[0], limit) if task.args else ""
    parts = [shorten_tree(tree, limit) for tree in task.args[:20]]
    parts += [f"{name}={shorten_tree(tree, limit)}" for name, tree in islice(task.kwargs.items(), 20)]
    return cut(f"{task.tool}({', '.join(parts)})", limit)


def shorten_final(final: FinalLine, limit: int = 60) -> str:
    """Return a plan's last line: `answer(best)`, `join(ny, la)`."""
    if isinstance(final, Return):
        return cut(f"answer({shorten_tree(final.expression, limit)})", limit)
    return cut(f"join({', '.join(final.refs[:20])})", limit)


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _fit(text: str, width: int) -> str:
    line = cut(text, width)
    while columns_of(line) > width:
        line = f"{line.removesuffix('…')[:-1]}…"
    return line


def text_table(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as aligned lines: at most WIDTH columns wide and ROWS long, the others are counted."""
    every = list(rows)
    shown = [[_fit(cell, WIDTH) for cell in row] for row in every[:ROWS]]
    widths = [0] * max((len(row) for row in shown), default=0)
    for row in shown:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], columns_of(cell))
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in shown:
        cells = [_fit(cell, width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join(cell + " " * (w - columns_of(cell)) for cell, w in zip(cells, widths, strict=False)))
    more = [f"… {len(every) - ROWS:,} more"] if len(every) > ROWS else []
    return "\n".join([*(line.rstrip() for line in lines), *more])


def plan_text(
    plan: Plan | Iterable[Task],
    states: Mapping[str, State] | None = None,
    outcomes: Mapping[str, Any] | None = None,
) -> str:
    """Return a plan as a table that is the same for the same run: state, id, call, short value; then its last line."""
    rows = [_row(task, states or {}, outcomes or {}) for task in plan]
    table = text_table([row if states or outcomes else row[1:3] for row in rows])
    final = plan.final if isinstance(plan, Plan) else Join()
    last = shorten_final(final, WIDTH) if isinstance(plan, Plan) else ""
    return "\n".join(part for part in (table, last) if part)


def _row(task: Task, states: Mapping[str, State], outcomes: Mapping[str, Any]) -> tuple[str, str, str, str]:
    state = states.get(task.id, "waiting")
    value = describe_outcome(outcomes[task.id], WIDTH) if task.id in outcomes else ""
    return f"{MARKS[state]} {state}", cut(task.id, 30), shorten_call(task, WIDTH // 2), value
