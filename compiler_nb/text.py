"""Words for people: values, errors, durations and foreign text, each as one safe line of limited length.

No foreign code runs here, except the `__str__` of an exception. A value's own `__repr__` or `__str__` is never called,
since it may raise, hang, build 100 MB or reveal a secret; only those of known types are.
"""

from __future__ import annotations

import datetime as dt
import decimal
import difflib
import enum
import fractions
import math
import pathlib
import re
import sys
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any, Final

from compiler_nb.outcome import Cancelled, Failure, NotStored, Remote, Skipped, StoredFigure

TIMES: Final = "\N{MULTIPLICATION SIGN}"
_DEPTH: Final = 4
ITEMS: Final = 6
FIGURE: Final = 60
"""Characters of what a figure shows."""
_SORTED: Final = 50
_HIDDEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0d\U000e0100-\U000e01ef]")
"""Characters that Python calls printable but that show nothing."""
_CAMEL: Final = re.compile(r"[a-z][a-z0-9_]*(?:[A-Z]{1,3}[a-z0-9_]+)*[A-Z]{0,3}")
_FIELD_LENGTH: Final = 30
MOST: Final = 40
"""Most keys of a dict that are taken for fields."""
ALIKE: Final = 12
"""Most keys of a dict that are taken for fields if its values are all of one type."""
_SPACES: Final = "\u00a0\u3000"
AS_TEXT: Final = (
    decimal.Decimal, fractions.Fraction, uuid.UUID, dt.date, dt.datetime, dt.time,
    dt.timedelta, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath, Remote,
)  # fmt: skip
"""Types, of the standard library and ours, whose `str` shows everything."""
_AS_CODE: Final = frozenset({type(None), bool, float, complex, range, type(...), type(NotImplemented)})
# Type's own descriptor: a metaclass may define another `__name__`, which would be foreign code.
_NAME: Final = vars(type)["__name__"]
_NAME_LIMIT: Final = 100
AROUND: Final = 12
"""Characters before a difference that are shown."""
MESSAGE_LIMIT: Final = 2_000
"""Most characters that are kept of an error's text; the rest is counted."""
BRACKETS: Final[Mapping[type, str]] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}", deque: "[]"}


def visible(text: str) -> str:
    """Return a text with control, bidirectional and invisible characters written as escapes."""
    if text.isprintable() and not _HIDDEN.search(text):
        return text
    return "".join(char if _shows(char) else ascii(char)[1:-1] for char in text)


def visible_lines(text: str) -> str:
    """Return a text with its line feeds; other invisible characters are written as escapes."""
    return "\n".join(visible(line) for line in text.split("\n"))


def _shows(char: str) -> bool:
    return (char.isprintable() and not _HIDDEN.match(char)) or char in _SPACES


def cut(text: str, limit: int) -> str:
    """Return a text as one visible line of at most `limit` characters, the last being … if it was longer."""
    line = visible(text[: limit + 1])
    return line if len(line) <= limit else f"{line[: max(limit - 1, 0)]}…"


def cut_both(one: str, other: str, limit: int) -> tuple[str, str]:
    """Cut two texts at `limit` characters; if they are longer, the beginning that they share is left out, too."""
    texts = (one, other)
    alike = next((at for at, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    skip = alike - AROUND if max(map(len, texts)) > limit and alike > 2 * AROUND else 0
    first, second = (cut(f"…{text[skip:]}" if skip else text, limit) for text in texts)
    return first, second


def shorten(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Cut a text at `limit` characters and say how long it was."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def seconds_text(seconds: float) -> str:
    """Return a duration: `12 ms`, `1.9 s`, `140 s`."""
    if seconds < 0.1:  # noqa: PLR2004 - see the examples
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:,.0f} s"  # noqa: PLR2004 - see the examples


def money_text(dollars: float, mark: str = "") -> str:
    """Return dollars: `$12.40`, `$0.12`, `$0.0031`, "" for none; mark: what stands before them, such as `~`."""
    digits = max(2, 1 - math.floor(math.log10(dollars))) if dollars else 0
    return f"{mark}${dollars:,.{digits}f}" if dollars else ""


def tokens_text(tokens: int, *, estimated: bool = False) -> str:
    """Return `1 token`, `1,240 tokens`, `~1,240 tokens` if that is an estimate."""
    return f"{'~' if estimated else ''}{count_of(tokens, 'token')}"


def wait_text(provider: str, asked: float, left: float | None = None, count: int = 1) -> str:
    """Say how many wait for a provider, the seconds that it asked for (0 if it did not ask), and those that are left.

    Without `left`, only what does not change from moment to moment.
    """
    who = f"wait{'s' if count == 1 else ''} for {provider}:"
    if not asked:
        return (
            f"{who} {'tries' if count == 1 else 'try'} again{f' in {_whole_seconds(left)}' if left is not None else ''}"
        )
    rest = f", {_whole_seconds(left)} left" if left is not None else ""
    return f"{who} asked for {_whole_seconds(asked)}{rest}"


def _whole_seconds(seconds: float) -> str:
    """Return a duration as somebody counts it down: `45 s`, `2.5 s`."""
    return f"{seconds:,.0f} s" if seconds >= 10 or seconds % 1 == 0 else f"{max(seconds, 0):.1f} s"  # noqa: PLR2004


def count_of(number: int, what: str) -> str:
    """Return `1 task`, `1,200 tasks`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def nth(number: int, what: str) -> str:
    """Return `2nd try`."""
    teen = 10 < number % 100 < 14  # noqa: PLR2004 - 11th, 12th, 13th
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')} {what}"


def suggest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return " Did you mean ...?" if a known word is that similar, otherwise ""."""
    # The word is compared with each known one, and a plan may have ten thousand of them.
    words = {each.lower(): each for each in islice(known, 2_000)}
    near = difflib.get_close_matches(word[:64].lower(), words, 1, likeness)
    return f" Did you mean {words[near[0]]!r}?" if near else ""


def type_name(value: Any) -> str:
    """Return the name of a value's type, at most 100 characters of it; none of the type's own code runs."""
    return name_of(type(value))


def name_of(kind: type) -> str:
    """Return the name of a type, as `type_name` does."""
    return str.__str__(_NAME.__get__(kind))[:_NAME_LIMIT]


def is_field(key: Any) -> bool:
    """Whether a key looks like the name of a field, not like data: `max` and `orderId`, not `AAPL` or `New York`."""
    if type(key) is not str or len(key) > _FIELD_LENGTH:
        return False
    return key.isidentifier() and (key.islower() or _CAMEL.fullmatch(key) is not None)


def fields_of(value: dict[Any, Any]) -> list[str]:
    """Return a dict's keys if all look like fields; an empty list if they look like data.

    They do if one is not a field, or if there are many and their values are all of one type, as in a dict by name.
    """
    keys = list(islice(dict.__iter__(value), MOST + 1))
    kinds = {float if type(item) is int else type(item) for item in dict.values(value)} - {type(None)}
    is_data = len(keys) > MOST or (len(keys) > ALIKE and len(kinds) <= 1) or not all(map(is_field, keys))
    return [] if is_data else keys


def describe_error(error: BaseException) -> str:
    """Return an exception as one bounded line, whatever its `__str__` does."""
    try:
        text = str(error)
    except BaseException as broken:  # noqa: BLE001 - an error's own __str__ may raise anything
        text = f"(its text cannot be read: {type_name(broken)})"
    parts = getattr(error, "exceptions", None)
    if isinstance(error, BaseExceptionGroup) and parts:
        text += ": " + "; ".join(describe_error(part) for part in parts[:10])
    return shorten(f"{type_name(error)}: {text}" if text else type_name(error))


def literal(text: str, mark: str = '"') -> str:
    """Return a string as a literal, in these quotes unless they would have to be escaped."""
    plain = repr(text)
    return f"{mark}{plain[1:-1]}{mark}" if mark not in text and plain[0] not in plain[1:-1] else plain


def quote(text: str, limit: int) -> str:
    """Return a string as a literal, in double quotes if possible; over the limit it is cut, with its length."""
    return visible(literal(text[:limit])) + (f"… ({len(text):,} characters)" if len(text) > limit else "")


def shorten_value(value: Any, limit: int = 120) -> str:
    """Return any value as one safe line of at most `limit` characters; never raises, never takes long."""
    try:
        return cut(_describe(value, 0, max(limit - 32, 8)), limit)
    except Exception:  # noqa: BLE001 - a value may be broken in any way
        return cut(f"<{type_name(value)}>", limit)


def _describe(value: Any, depth: int, limit: int) -> str:  # noqa: PLR0911 - one for each kind of value
    # By exact type, never isinstance: a subclass may override every method that is called here.
    kind = type(value)
    if kind is str:
        return quote(value, limit if depth == 0 else 40)
    if kind is int:
        return repr(value) if value.bit_length() < 200 else _large(value)  # noqa: PLR2004
    if kind in _AS_CODE:
        return repr(value)
    if kind is dict or kind in BRACKETS:
        return _container(value, depth)
    if kind in (bytes, bytearray, memoryview):
        more = f"… ({len(value):,} bytes)" if len(value) > 30 else ""  # noqa: PLR2004
        return repr(bytes(value[:30])) + more
    if kind in AS_TEXT:
        return str(value)
    return _known(value, depth) or f"<{type_name(value)}>"


def _large(value: int) -> str:
    digits = int(abs(value).bit_length() * math.log10(2)) + 1
    return f"{'-' if value < 0 else ''}(an integer of about {digits:,} digits)"


def _container(value: Any, depth: int) -> str:
    kind, size = type(value), len(value)
    brackets = BRACKETS.get(kind, "{}")
    opening, closing = brackets[0], brackets[1]
    if not size:
        return "set()" if kind in (set, frozenset) else opening + closing
    if depth >= _DEPTH:
        return f"{opening}…{closing}"
    if kind is dict:
        pairs = islice(value.items(), ITEMS)
        parts = [f"{_describe(key, depth + 1, 40)}: {_describe(item, depth + 1, 40)}" for key, item in pairs]
    elif kind in (set, frozenset):
        if size > _SORTED:  # its order differs from process to process
            return f"{{{size:,} items}}"
        parts = sorted(_describe(item, depth + 1, 40) for item in value)[:ITEMS]
    else:
        parts = [_describe(item, depth + 1, 40) for item in islice(value, ITEMS)]
    if size > ITEMS:
        parts.append(f"… {size - ITEMS:,} more")
    return f"{opening}{', '.join(parts)}{',' if kind is tuple and size == 1 else ''}{closing}"


def _known(value: Any, depth: int) -> str:
    """Describe outcomes, exceptions, records, tables and arrays; return "" for other objects."""
    if isinstance(value, (Failure, Skipped, Cancelled, NotStored, StoredFigure)):
        return describe_outcome(value)
    if isinstance(value, BaseException):
        return _call(type_name(value), [("", item) for item in value.args[:ITEMS]], depth)
    if isinstance(value, enum.Enum):
        return f"{type_name(value)}.{value._name_}"
    if isinstance(value, type):
        return f"<class {name_of(value)}>"
    parts = named_parts(value)
    if parts is not None:
        return _call(type_name(value), list(islice(parts, ITEMS + 1)), depth)
    return _from_library(value, depth)


def named_parts(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Return the fields that a named tuple, a dataclass or a pydantic model shows; None for other values."""
    kind, pydantic = type(value), sys.modules.get("pydantic")
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return zip(kind._fields, tuple.__iter__(value), strict=False)
    if is_dataclass(value) and not isinstance(value, type):
        return ((part.name, getattr(value, part.name)) for part in fields(value) if part.repr)
    if pydantic and isinstance(value, pydantic.BaseModel):
        held = vars(value)  # not the attributes, which a model's own code may compute
        return ((name, held.get(name)) for name, part in kind.model_fields.items() if part.repr)
    return None


def _call(name: str, arguments: Sequence[tuple[str, Any]], depth: int) -> str:
    if depth >= _DEPTH:
        return f"{name}(…)"
    parts = [f"{key}={_describe(item, depth + 1, 40)}" if key else _describe(item, depth + 1, 40)
             for key, item in arguments[:ITEMS]]  # fmt: skip
    return f"{name}({', '.join(parts)}{', …' if len(arguments) > ITEMS else ''})"


def _from_library(value: Any, depth: int) -> str:  # noqa: PLR0911 - as above
    """Describe objects of libraries that are already loaded, without copying their data."""
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    if pandas and isinstance(value, pandas.DataFrame):
        rows, columns = value.shape
        names = ", ".join(cut(str(label) if type(label) is str else _describe(label, 2, 20), 24)
                          for label in value.columns[:4])  # fmt: skip
        return f"DataFrame {rows:,} {TIMES} {columns:,} ({names}{', …' if columns > 4 else ''})"  # noqa: PLR2004
    if pandas and isinstance(value, pandas.Series):
        return f"Series {len(value):,} ({_describe(value.name, 2, 20)}, {value.dtype})"
    if pandas and isinstance(value, pandas.Timestamp):
        return str(value.isoformat())
    if numpy and isinstance(value, numpy.ndarray):
        return f"ndarray {_sizes(value.shape) or 'of one'} {value.dtype}"
    if numpy and isinstance(value, numpy.generic):
        item = value.item()
        return f"<{type_name(value)}>" if isinstance(item, numpy.generic) else _describe(item, depth, 40)
    figures = sys.modules.get("matplotlib.figure")
    if figures and isinstance(value, figures.Figure) and (drawn := figure_label(value)):
        return f"{type_name(value)} ({cut(drawn, FIGURE)})"
    shape = getattr(type(value), "shape", None)
    if shape is not None and type(value).__module__.partition(".")[0] in ("polars", "pyarrow", "xarray", "torch"):
        return f"{type_name(value)} {_sizes(value.shape)}"
    return ""


def figure_label(figure: Any) -> str:
    """Return what a figure of matplotlib is said to show: the label that `plot` gives it, "" if it has none."""
    drawn = vars(figure).get("_label")
    return drawn if type(drawn) is str else ""


def _sizes(shape: Sequence[int]) -> str:
    return f" {TIMES} ".join(f"{size:,}" for size in shape)


def describe_outcome(outcome: Any, limit: int = 120) -> str:
    """Return how a task ended as one line: its value, or what went wrong."""
    if isinstance(outcome, Failure):
        return cut(outcome.message if outcome.kind == "items" else f"{outcome.kind}: {outcome.message}", limit)
    if isinstance(outcome, Skipped) and outcome.by_user:
        return cut(f"because {outcome.cause} was skipped by you", limit)
    if isinstance(outcome, Skipped) and not outcome.not_needed:
        return cut(f"because {outcome.cause} failed", limit)
    if isinstance(outcome, (Skipped, Cancelled)):
        return cut(outcome.message, limit)
    if isinstance(outcome, (NotStored, StoredFigure)):
        return cut(repr(outcome), limit)
    return shorten_value(outcome, limit)
