"""The type that an answer is to have: how models are told, and how a value is converted to it.

A value is converted if nothing is lost and nothing is read into it: "3" is taken for a float, and a dict for a
dataclass, but True and the text "NaN" are not numbers, and a number is not a date.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from compiler_nb.signature.checks import adapter_of
from compiler_nb.signature.expressions import is_type
from compiler_nb.signature.types import describe_type, spell_type
from compiler_nb.text import cut, shorten_value, type_name

PROBLEMS: Final = 3
"""Faults of one value that are told; the others are counted."""
_NUMBERS: Final = (int, float, complex, decimal.Decimal)
_TIMES: Final = (dt.date, dt.time, dt.timedelta)
_OWN: Final = frozenset({"value_error", "assertion_error"})
"""Faults that the user's own checks word, so that the words may hold contents."""
_ROWS: Final = {"type": "array", "items": {"type": "object"}}


class WrongAnswer(ValueError):
    """A value does not have the type that was wanted.

    problem: what is wrong with it, without any of its contents; told: the same in the words of the user's own checks;
    came: the value, shortened, and what is wrong with it; said: the whole text of the model that gave it, "" if none
    did; value: itself.
    """

    said = ""

    def __init__(self, wanted: str, value: Any, problem: str, told: str = "") -> None:
        self.problem, self.told, self.value = problem, told or problem, value
        self.came = f"{shorten_value(value, 200)} ({type_name(value)}) came: {self.told}"
        super().__init__(f"the answer must be of the type {wanted}, but {self.came}")


class AnswerType:
    """The type that an answer is to have.

    hint: a type as it stands in an annotation; name: what it is called, such as "list[str]".
    Raises ValueError if values of it cannot be checked.
    """

    def __init__(self, hint: Any) -> None:
        if hint is not None and not is_type(hint):
            raise ValueError(f"a type is wanted, such as float or list[str], not {shorten_value(hint)}")
        self.hint, self.name = hint, cut(spell_type(hint), 100)
        try:
            self._adapter = adapter_of(hint)
        except Exception as error:  # noqa: BLE001 - pydantic raises many kinds, and a class may have a part in it
            raise ValueError(f"{self.name} cannot be checked: {cut(str(error).splitlines()[0], 200)}") from None
        if self._adapter is None:
            raise ValueError(f"{self.name} cannot be checked: pydantic does not know this type")

    def __repr__(self) -> str:
        return f"<answer as {self.name}>"

    # ---------------------------------------------------------------- what models are told

    @functools.cached_property
    def wanted(self) -> str:
        """The type in words: its name, and the fields or the values that it declares."""
        if isinstance(self.hint, type) and issubclass(self.hint, enum.Enum):
            return f"{self.name}, one of {', '.join(repr(each.value) for each in self.hint)}"
        if self.is_table:
            return f"{self.name}, or a list of rows, each a dict by column"
        return describe_type(self.hint) if self._has_fields else self.name

    @functools.cached_property
    def _has_fields(self) -> bool:
        return any(mark in describe_type(self.hint) for mark in "({")

    @functools.cached_property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema of its values, None if JSON has none for them."""
        if self.is_table:
            return _ROWS
        try:
            return dict(self._adapter.json_schema())
        except Exception:  # noqa: BLE001 - a class that pydantic only knows by `isinstance`
            return None

    @property
    def written(self) -> Any:
        """The type that a model's JSON has for it."""
        return list[dict[str, str | float | bool | None]] if self.is_table else self.hint

    @property
    def is_text(self) -> bool:
        """Whether any text is a value of it."""
        return self.hint is str or self.hint is Any or self.hint is object

    @property
    def is_table(self) -> bool:
        """Whether it is pandas' DataFrame."""
        pandas = sys.modules.get("pandas")
        return pandas is not None and self.hint is getattr(pandas, "DataFrame", None)

    @property
    def for_planner(self) -> str:
        """The line that tells a planner of it."""
        fields = ", for which a dict by field will do" if self._has_fields else ""
        last = "" if self.schema is None else ", or join(...) to have it written from results"
        return f"The answer must be of the type {self.wanted}{fields}: end with answer(value){last}."

    @property
    def for_joiner(self) -> str:
        """The lines that tell a joiner of it, "" if any text will do."""
        if self.is_text:
            return ""
        if self.schema is None:
            return f"The answer must be of the type {self.name}, which only a plan can give: reply `Replan: ` and why."
        alone = "and nothing else: no unit, no sentence around it"
        if self._has_fields or (self.schema or {}).get("type") in ("object", "array"):
            schema = json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))
            return f"The answer must be of the type {self.name}: write JSON by this schema, {alone}\n{schema}"
        return f"The answer must be of the type {self.wanted}: write the value as JSON, {alone}"

    # ---------------------------------------------------------------- values

    def read(self, value: Any) -> Any:
        """Return the value as one of the type: itself, or what it is converted to. Raises WrongAnswer."""
        value = _plain_number(value)
        if self.is_text:
            return self._checked(value, value)
        if self.is_table and _is_tabular(value):
            value = self.hint(value)
        return self._checked(value, value)

    def read_text(self, text: str) -> Any:
        """Return the value that a model's text stands for: JSON, or the text itself. Raises WrongAnswer."""
        if self.is_text:
            return self._checked(text, text)
        try:
            data = json.loads(text, parse_constant=str, parse_float=_finite)
        except (ValueError, RecursionError):
            return self.read(text)
        try:
            return self.read(data)
        except WrongAnswer:
            try:
                return self.read(text)  # a text may look like JSON: "404" for `Literal["404"]`
            except WrongAnswer:
                pass
            raise

    def plain(self, value: Any) -> Any:
        """Return a value of the type as plain data, which a history can store without knowing its class."""
        if self.is_table or (isinstance(value, str | int | float) and not isinstance(value, enum.Enum)):
            return value
        try:
            return _without_enums(self._adapter.dump_python(value, mode="python", warnings=False))
        except Exception:  # noqa: BLE001 - the history says that it is not stored
            return value

    def _checked(self, value: Any, before: Any) -> Any:
        from pydantic import ValidationError  # noqa: PLC0415 - imported at first use

        try:
            return self._adapter.validate_python(value, strict=True)
        except ValidationError:
            pass
        try:
            found = self._adapter.validate_python(value)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
            raise WrongAnswer(self.wanted, before, _told(faults, own=False), _told(faults, own=True)) from None
        for fault in _read_into(value, found):
            raise WrongAnswer(self.wanted, before, fault)
        return found


def answer_type_of(given: Any) -> AnswerType | None:
    """Return the type that an argument means, None if it is None. Raises ValueError if it is not a type."""
    return given if given is None or isinstance(given, AnswerType) else AnswerType(given)


def _told(faults: list[Any], *, own: bool) -> str:
    """Return faults in words; own: with the words of the user's own checks."""
    lines = []
    for fault in faults[:PROBLEMS]:
        place = "".join(f"[{part!r}]" for part in fault["loc"])
        said = "its own check refuses it" if fault["type"] in _OWN and not own else fault["msg"]
        lines.append(f"{place} {said[:1].lower()}{said[1:]}".strip())
    more = [f"and {len(faults) - PROBLEMS:,} more faults"] if len(faults) > PROBLEMS else []
    return "; ".join([*lines, *more])


def _without_enums(data: Any) -> Any:
    if isinstance(data, enum.Enum):
        return data.value
    if type(data) is dict:
        return {_without_enums(key): _without_enums(each) for key, each in data.items()}
    return type(data)(map(_without_enums, data)) if type(data) in (list, tuple, set, frozenset) else data


def _finite(text: str) -> float | str:
    """Return a number of JSON; one that a float cannot hold stays a text, and so does NaN, which JSON does not have."""
    number = float(text)
    return number if math.isfinite(number) else text


def _is_tabular(value: Any) -> bool:
    """Whether a value is a list of rows, each a dict by column, or a dict of columns, lists of one length."""
    if type(value) is list:
        return all(type(row) is dict for row in value)
    columns = list(value.values()) if type(value) is dict else []
    return bool(columns) and all(type(each) is list and len(each) == len(columns[0]) for each in columns)


def _plain_number(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's."""
    numpy = sys.modules.get("numpy")
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def _read_into(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Yield where a conversion has read something into a value: a number into True or "NaN", a time into a number."""
    if after is None:  # a field that is given under another name
        return
    if isinstance(before, bool) and not isinstance(after, bool):
        yield f"{place} {before} is not a number".strip()
    elif isinstance(before, _NUMBERS) and not isinstance(before, bool) and isinstance(after, (bool, *_TIMES)):
        yield f"{place} a number is no {spell_type(type(after))}".strip()
    elif isinstance(before, str) and isinstance(after, float | decimal.Decimal) and not math.isfinite(after):
        yield f"{place} {shorten_value(before, 40)} is not a finite number".strip()
    for part, inner, other in _parts(before, after):
        yield from _read_into(inner, other, f"{place}{part}")


def _parts(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parts of a value beside what became of them, each with its place."""
    if isinstance(before, Mapping):
        for key, each in before.items():
            yield f"[{key!r}]", each, after.get(key) if isinstance(after, Mapping) else getattr(after, str(key), None)
    elif isinstance(before, list | tuple | set | frozenset) and isinstance(after, set | frozenset):
        yield from (("", each, next(iter(after), None)) for each in before)
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        for number, pair in enumerate(zip(before, after, strict=False)):
            yield f"[{number}]", *pair
