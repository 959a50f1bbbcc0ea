"""The package's own records that a stored run is made of: events, tasks, expressions, outcomes; by name, and checked.

A record is stored as its name and its fields in order. What comes back is checked by the types of those fields, so that
whatever stands in a file, a record is what its class says.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, get_args

from compiler_nb import events
from compiler_nb.errors import HistoryError, Problem
from compiler_nb.outcome import STATES, Answer, Cancelled, Failure, Replan, Skipped, Status, Usage
from compiler_nb.plan import expression
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Expression, Input, Ref
from compiler_nb.values.forms import Form, Head, ToData

Record: TypeAlias = Any
"""An instance of one of the classes below."""
_CARRIES: Final = {expression.Value: 0, Answer: 0, Failure: 4}
"""Records that carry a value of any kind, and the field that it stands in."""
_NODES: Final = [
    each
    for name, each in vars(expression).items()
    if isinstance(each, type) and issubclass(each, Expression) and each is not Expression and not name.startswith("_")
]
_KINDS: Final = (Ref, Input, Join, Return, Task, Answer, Replan, Failure, Skipped, Cancelled, Problem, Usage, *_NODES)
EVENTS: Final[dict[str, type[Any]]] = {each.__name__: each for each in get_args(events.Event)}
_HEAD: Final = 4
"""Fields that all events begin with."""


def _fields(kind: type[Any]) -> tuple[tuple[str, str], ...]:
    """Return the names and annotations of the fields that are stored."""
    if dataclasses.is_dataclass(kind):
        return tuple((each.name, str(each.type)) for each in dataclasses.fields(kind) if each.init)
    return tuple((name, str(getattr(hint, "__forward_arg__", hint))) for name, hint in kind.__annotations__.items())


_FIELDS: Final = {kind: _fields(kind) for kind in (*_KINDS, *EVENTS.values())}


def _form(kind: type[Any]) -> Form:
    place = _CARRIES.get(kind)

    def write(record: Record, to: ToData) -> Head:
        fields = [getattr(record, name) for name, _ in _FIELDS[kind]]
        if kind is Failure:
            fields[-1] = record.traceback
        # an exception is left out, because its text is in the message and in the traceback
        kept = enumerate(None if issubclass(type(each), BaseException) else each for each in fields)
        return {"v": [to.carried(each) if number == place else to.data(each) for number, each in kept]}

    fixed = kind in (Replan, Skipped, Cancelled)
    return Form(kind, kind.__name__, write, lambda head, by: make(kind, by.many(head["v"])), fixed=fixed)


RECORDS: Final = tuple(map(_form, _KINDS))


def make(kind: type[Any], values: list[Any]) -> Record:
    """Return a record of these fields; raises HistoryError if they are of other types."""
    wanted = _FIELDS[kind]
    if len(values) > len(wanted):
        raise HistoryError(f"a stored {kind.__name__} has {len(values)} fields instead of {len(wanted)}")
    for (name, hint), value in zip(wanted, values, strict=False):
        if hint in _FITS and not _FITS[hint](value):
            raise HistoryError(f"a stored {kind.__name__} has a wrong {name!r}")
    return kind(*values)


def body_of(event: events.Event) -> list[Any]:
    """Return what an event says besides its number, run, round and time."""
    return list(event[_HEAD:])


def make_event(name: str, head: Iterable[Any], body: Any) -> events.Event:
    """Return an event; raises HistoryError if there is no such kind of event."""
    if name not in EVENTS or type(body) is not list:
        raise HistoryError(f"a stored event is of the unknown kind {str(name)[:40]!r}")
    event: events.Event = make(EVENTS[name], [*head, *body])
    return event


# -------------------------------------------------------------------- types


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _one_of(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: type(value) is str and value in allowed


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is tuple and all(map(fits, value))


def _texts(value: Any) -> bool:
    return type(value) is dict and all(type(part) is str for pair in value.items() for part in pair)


def _is_pattern(value: Any) -> bool:
    return type(value) is str or _all(_is_pattern)(value)


def _is_named(value: Any) -> bool:
    """Return whether a value is a dict by names."""
    return type(value) is dict and all(type(key) is str for key in value)


def _is_pair(value: Any) -> bool:
    """Return whether a value is a name and a tree: a comparison of a chain, or a named argument of a function."""
    return type(value) is tuple and len(value) == 2 and type(value[0]) is str  # noqa: PLR2004 - a pair


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "str": _is(str),
    "int": _is(int),
    "float": _is(float, int),
    "bool": _is(bool),
    "tuple[str, ...]": _all(_is(str)),
    "tuple[str, ...] | None": lambda value: value is None or _all(_is(str))(value),
    "tuple[Tree, ...]": _is(tuple),
    "tuple[Task, ...]": _all(_is(Task)),
    "tuple[Clause, ...]": _all(_is(expression.Clause)),
    "tuple[tuple[str, Tree], ...]": _all(_is_pair),
    "dict[str, Tree]": _is_named,
    "Mapping[str, str]": _texts,
    "tuple[Mapping[str, str], ...]": _all(_texts),
    "BaseException | None": _is(type(None)),
    "Pattern": _is_pattern,
    "Kind": _one_of("call", "expr", "fanout"),
    "State": _one_of(*STATES),
    "Status": _one_of(*get_args(Status)),
    "Usage": _is(Usage),
    "Failure": _is(Failure),
    "Task": _is(Task),
    "Problem": _is(Problem),
    "LastLine | None": _is(Join, Return, type(None)),
    "Answer | Replan": _is(Answer, Replan),
    "Literal['and', 'or']": _one_of("and", "or"),
    "Literal['list', 'dict']": _one_of("list", "dict"),
    "Literal['list', 'set', 'dict', 'generator']": _one_of("list", "set", "dict", "generator"),
}
"""What values a field of this annotation may have; one of another annotation may have any."""
