"""Expand a fan-out into its items, and collect their values.

An item that reads another fan-out by key, index or iteration waits for that one item only. While the source is
evaluated, a fan-out whose items are known but have no values yet is represented by a container of placeholders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Heavy, Scope
from compiler_nb.operations.weights import hashed, is_a, items_of, short, spend_on_hashes
from compiler_nb.outcome import NOT_DONE, Failure
from compiler_nb.plan.evaluate import bind, evaluate
from compiler_nb.plan.expression import (
    Apply,
    Clause,
    Comprehension,
    Fanout,
    Item,
    Local,
    Method,
    Pattern,
    Slice,
    Value,
    spell,
)
from compiler_nb.plan.losses import tell
from compiler_nb.plan.task import Task, item_id, variable
from compiler_nb.plan.tree import Expression, Ref, Tree, references, walk
from compiler_nb.plan.tree import replace as replace_nodes
from compiler_nb.text import MESSAGE_LIMIT, count_of, describe_error

_PLAIN: Final = (str, int, float, bool, type(None))
_KEY_LENGTH: Final = 40
_FREE, _LITERAL = 2_000, 20
"""Characters of a fan-out that cost an item nothing, and how many of the others one step pays for."""
_MARKS: Final = frozenset("[]#")
"""The characters that surround the keys of items in ids."""


class Shape(NamedTuple):
    """What is known of an expanded fan-out: its container, the items' keys (None in a list), and their ids."""

    container: str
    keys: tuple[Any, ...]
    ids: tuple[str, ...]
    places: Mapping[Any, int]  # key -> index, in a dict; of equal keys the last counts

    @classmethod
    def of(cls, container: str, keys: Sequence[Any], ids: Sequence[str]) -> Shape:
        """Return the shape with these keys (Nones in a list) and ids."""
        places = {key: number for number, key in enumerate(keys)} if container == "dict" else {}
        return cls(container, tuple(keys), tuple(ids), places)


class Expansion(NamedTuple):
    """The tasks that a fan-out became, each with whether its value is an item's, its shape, and an item's weight.

    The weight is that of the literals that the text repeats for each item, in steps.
    """

    tasks: list[tuple[Task, bool]]
    shape: Shape
    weight: int


@dataclass(frozen=True, slots=True)
class _Later:
    """Stands for the value of an item that has not ended."""

    id: str


def needs(task: Task, container: Callable[[str], str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a task waits for: tasks that must be done, and fan-outs whose items must be known.

    A guarded task first waits for what its guard reads, and for nothing else: it may not be needed.
    container: "list" or "dict" for the id of a fan-out whose value is not there yet, "" for any other.
    """
    if task.guard is not None:
        task = Task(task.id, "expr", "", (task.guard,))
    if task.kind != "fanout" or not task.args:
        items = _item_reads(task, container)
        return tuple(name for name in task.dependencies if name not in items), items
    node: Fanout = task.args[0]
    whole: set[str] = set()
    shapes: set[str] = set()
    later = _structure(node.source, node.target, container, whole, shapes)
    read = {part.name for part in walk((node.conditions, node.key)) if isinstance(part, Local)}
    whole.update(references(node.conditions, node.key))
    if later is None or read & later:
        whole |= shapes
    # What is read by key inside the element is linked item by item, whatever the source is.
    linked = {
        part.value.id
        for part in walk((node.steps, node.element))
        if isinstance(part, Item) and isinstance(part.value, Ref) and container(part.value.id)
    }
    after = tuple(name for name in (*references(node.source), *references(node.conditions, node.key)) if name in whole)
    return tuple(dict.fromkeys((*after, *task.after))), tuple(sorted((shapes | linked) - whole))


def later_names(task: Task, container: Callable[[str], str]) -> set[str]:
    """Return the names in an element of a fan-out that stand for values of other fan-outs' unfinished items."""
    node: Fanout = task.args[0]
    whole: set[str] = set()
    later = _structure(node.source, node.target, container, whole, set())
    read = {part.name for part in walk((node.conditions, node.key)) if isinstance(part, Local)}
    return set() if later is None or read & later else later


def _item_reads(task: Task, container: Callable[[str], str]) -> tuple[str, ...]:
    """Return the unfinished fan-outs that a call or an expression reads only item by item, by known keys."""
    if not task.dependencies:
        return ()  # as most of 100,000 items
    by_key = {_item_of(part) for part in walk(task)} - {""}
    if not by_key:
        return ()
    rest = replace_nodes(task, lambda part: None if _item_of(part) else part)
    return tuple(sorted(id_ for id_ in by_key.difference(references(rest)) if container(id_)))


def _item_of(part: Expression) -> str:
    """Return the id of the task of which a node reads an item by a key that the text gives; "" if it does not."""
    if isinstance(part, Item) and isinstance(part.value, Ref) and not isinstance(part.key, Expression):
        return part.value.id
    return ""


def link_items(task: Task, shapes: Mapping[str, Shape]) -> Task:
    """Return a task that reads single items of fan-outs instead of the whole; unknown items stay as they are."""
    linked: Task = replace_nodes(task, lambda part: _linked(part, shapes))
    return linked


def _structure(  # noqa: PLR0911 - one case per form
    source: Tree, target: Pattern, container: Callable[[str], str], whole: set[str], shapes: set[str]
) -> set[str] | None:
    """Return the names in `target` that stand for values of unfinished items; None if such a value is unpacked.

    Sorts the references of `source` into those needed as a `whole` and those whose shape is enough.
    """
    match source:
        case Ref(id_) if container(id_):
            shapes.add(id_)
            if container(id_) == "dict":
                return set()  # its keys
            return {target} if isinstance(target, str) else None
        case Apply("reversed" | "list" | "tuple", (inner,), ()) | Item(inner, Slice()) if not references(
            source.key if isinstance(source, Item) else ()
        ):
            return _structure(inner, target, container, whole, shapes)
        case Apply("zip", args, kwargs):
            whole.update(references(kwargs))
            parts = target if isinstance(target, tuple) and len(target) == len(args) else [target] * len(args)
            found = [_structure(arg, part, container, whole, shapes) for arg, part in zip(args, parts, strict=True)]
            return None if None in found else set().union(*(names or () for names in found))
        case Apply("enumerate", (inner, *rest), kwargs):
            whole.update(references(rest, kwargs))
            part = target[1] if isinstance(target, tuple) and len(target) == 2 else target  # noqa: PLR2004 - a pair
            return _structure(inner, part, container, whole, shapes)
        case Method(Ref(id_), "items" | "values" | "keys" as name, ()) if container(id_):
            shapes.add(id_)
            if name == "keys":
                return set()
            part = target[1] if name == "items" and isinstance(target, tuple) and len(target) == 2 else target  # noqa: PLR2004
            return {part} if isinstance(part, str) else None
        case _:
            whole.update(references(source))
            return set()


def linked_fanout(tree: Tree, container: Callable[[str], str]) -> Fanout | None:
    """Return a comprehension that reads a fan-out item by item as a fan-out of its own, so that one bad item costs one.

    A fan-out that gets another name is one of all its items. None for any other tree: it needs its values whole.
    """
    match tree:
        case Ref(id_) if container(id_) == "list":
            return Fanout("list", "each", tree, (), None, (), Local("each"))
        case Ref(id_) if container(id_):
            return Fanout("dict", ("key", "each"), Method(tree, "items", ()), (), Local("key"), (), Local("each"))
        case Comprehension("list" | "dict" as kind, element, (Clause(target, source, conditions),), key):
            node = Fanout(kind, target, source, conditions, key, (), element)
            return node if needs(Task("", "fanout", "", (node,)), container)[1] else None
    return None


def expand(task: Task, scope: Scope, shapes: Mapping[str, Shape], partial: Collection[str] = ()) -> Expansion:
    """Return the items of a fan-out whose needs are met; raise an ExpressionError if its source cannot be iterated.

    partial: fan-outs whose values lack failed items; they are read item by item all the same.
    The source is iterated once, so that a source which changes meanwhile cannot give other items later.
    """
    node: Fanout = task.args[0]
    values = {id_: scope.values.get(id_) for id_ in references(node.source, node.conditions, node.key)}
    known = {id_: shapes[id_] for id_ in values if id_ in shapes}
    for id_ in needs(task, lambda id_: known[id_].container if id_ in known else "")[1] if known else ():
        if id_ in known and (id_ in partial or id_ not in scope.values or is_a(scope.values[id_], NOT_DONE)):
            values[id_] = _placeholders(known[id_])
    inner = scope.within(values)
    try:
        return _expand(task, node, inner, shapes)
    except (ExpressionError, Heavy, KeyboardInterrupt):
        raise
    except BaseException as error:  # what a user's object does when it is read may raise anything
        read = ", ".join(f"{variable(id_)} = {short(value)}" for id_, value in values.items())
        reason = f"{describe_error(error)[:200]}{f' (with {read})' if read else ''}"
        raise ExpressionError(f"{spell(node)[:200]}: {reason}; a fan-out goes over a list") from error
    finally:
        scope.steps, scope.bytes = inner.steps, inner.bytes


def _expand(task: Task, node: Fanout, inner: Scope, shapes: Mapping[str, Shape]) -> Expansion:
    tasks: list[tuple[Task, bool]] = []
    keys: list[Any] = []
    ids: list[str] = []
    seen: Counter[str] = Counter()
    most = inner.bounds.items
    weight = max(len(repr(node)) - _FREE, 0) // _LITERAL  # a list in its call's arguments is made again for each item
    for number, value in enumerate(items_of(evaluate(node.source, inner), inner)):
        if number == most:
            raise inner.bounds.error("items", "the fan-out goes over")
        inner.locals = {}
        bind(node.target, value, inner.locals)
        if not all(evaluate(condition, inner) for condition in node.conditions):
            continue
        inner.spend(weight)
        key = hashed(evaluate(node.key, inner), inner) if node.container == "dict" else None
        shown = _show(key, len(ids)) if node.container == "dict" else str(len(ids))
        seen[shown] += 1  # two keys may show the same: cut, or 1 beside "1"
        id_ = item_id(task.id, shown, seen[shown])
        keys.append(key)
        ids.append(id_)
        tasks += _item(task, node, id_, inner.locals, shapes)
    if node.container == "dict":
        spend_on_hashes(keys, inner)
    return Expansion(tasks, Shape.of(node.container, keys, ids), weight)


def _placeholders(shape: Shape) -> Any:
    later = [_Later(id_) for id_ in shape.ids]
    return dict(zip(shape.keys, later, strict=True)) if shape.container == "dict" else later


def _show(key: Any, number: int) -> str:
    parts = key if type(key) is tuple else (key,)
    if not all(type(part) in _PLAIN for part in parts):
        return f"item {number}"
    text = ", ".join(str(part)[:_KEY_LENGTH] for part in parts)
    if text.isprintable() and not _MARKS.intersection(text):
        return text
    return "".join(character if character.isprintable() and character not in _MARKS else "_" for character in text)


def _item(
    parent: Task, node: Fanout, id_: str, names: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> list[tuple[Task, bool]]:
    trees = {name: _tree(value) for name, value in names.items()}
    trees |= {step.id: Ref(id_ + step.id) for step in node.steps}

    def change(part: Expression) -> Tree:
        return trees.get(part.name, part) if isinstance(part, Local) else _linked(part, shapes)

    def made(task: Task) -> Task:
        guard = replace_nodes(task.guard, change)
        return replace(
            task,
            id=id_ + task.id,
            args=replace_nodes(task.args, change),
            kwargs=replace_nodes(task.kwargs, change),
            # in it a name may have become plain data, even the None of a task without a guard
            guard=guard if task.guard is None or isinstance(guard, Expression) else Value(guard),
            line=parent.line,
            column=parent.column,
            since=parent.since,
            # The values of an item are not hashed: within one source, the place says which item it is.
            fingerprint=f"{parent.fingerprint}{id_[len(parent.id) :]}{task.id}",
        )

    tasks = [(made(step), step.id == "") for step in node.steps]
    if not any(is_item for _, is_item in tasks):
        tasks.append((made(Task("", "expr", "", (node.element,))), True))
    return tasks


def _tree(value: Any) -> Tree:
    if type(value) is _Later:
        return Ref(value.id)
    if type(value) is tuple and _holds_later(value):
        return tuple(_tree(part) for part in value)
    return value if type(value) in _PLAIN else Value(value)


def _holds_later(value: tuple[Any, ...]) -> bool:
    """Whether a placeholder stands in a nest of tuples, which may share parts."""
    stack, seen = [value], set()
    while stack:
        part = stack.pop()
        if id(part) not in seen:
            seen.add(id(part))
            if any(type(each) is _Later for each in part):
                return True
            stack += [each for each in part if type(each) is tuple]
    return False


def _linked(part: Expression, shapes: Mapping[str, Shape]) -> Tree:
    """Return the item that a node reads by a known key of a fan-out, otherwise the node."""
    if not (isinstance(part, Item) and isinstance(part.value, Ref) and part.value.id in shapes):
        return part
    shape = shapes[part.value.id]
    key = part.key.value if type(part.key) is Value else part.key
    if not all(type(each) in _PLAIN for each in (key if type(key) is tuple else (key,))):
        return part  # a computed key, or a user's object, whose hash could run any code
    try:
        index = shape.places[key] if shape.container == "dict" else range(len(shape.ids))[key]
        return Ref(shape.ids[index])
    except (KeyError, IndexError, TypeError):
        return part  # no such item: that is reported when the whole is there


def existing(partial: Any) -> Any:
    """Return the items of a partial value that have values, a list or dict in order; None if there are none."""
    if type(partial) is dict:
        return {key: value for key, value in partial.items() if not is_a(value, NOT_DONE)} or None
    return [value for value in partial or () if not is_a(value, NOT_DONE)] or None


def lost_items(fanout: str, partial: Any) -> dict[str, Any]:
    """Return how the items ended that have no values in a partial value, by the ids that they had."""
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for number, (key, value) in enumerate(partial.items() if type(partial) is dict else enumerate(partial)):
        shown = _show(key, number) if type(partial) is dict else str(number)
        seen[shown] += 1
        if is_a(value, NOT_DONE):
            found[item_id(fanout, shown, seen[shown])] = value
    return found


def collect(shape: Shape, outcomes: Mapping[str, Any]) -> Any:
    """Return a fan-out's value, the list or dict in order; a Failure with the partial value if an item failed."""
    values = [outcomes[id_] for id_ in shape.ids]
    partial = dict(zip(shape.keys, values, strict=True)) if shape.container == "dict" else values
    lost = {id_: value for id_, value in zip(shape.ids, values, strict=True) if is_a(value, NOT_DONE)}
    if not lost:
        return partial
    message = f"{len(lost):,} of {count_of(len(values), 'item')} failed: {tell(lost)}"
    return Failure("items", message[:MESSAGE_LIMIT], partial=partial)
