"""Evaluate pure expressions, within bounds.

Theory of operation
    `evaluate` walks the nodes of `compiler_nb.plan.expression` over values: it never calls `eval`, reads of a value
    only its items, declared fields and what `compiler_nb.operations.tables` lists, and calls only the functions and
    methods listed there and in `compiler_nb.operations.functions`. Values may be anything that a tool returned.
    Operators are Python's own, so a user's objects work through the operators that they define. Work is counted: a step
    per node, more if large containers are built, and the memory of what is made (see `compiler_nb.operations.bounds`);
    sizes, digits and widths have bounds of their own, which are checked *before* something large is made. An expression
    over a bound ends in an ExpressionError that says to use a tool.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final, cast

from compiler_nb.errors import ExpressionError
from compiler_nb.operations import fields, idioms
from compiler_nb.operations.bounds import ITEMS, TEXT, Heavy, Scope, bound
from compiler_nb.operations.fields import read_key
from compiler_nb.operations.functions import (
    DICTS,
    FUNCTIONS,
    METHODS,
    OF_NUMBERS,
    apply_function,
    call,
    format_value,
    to_dict,
    to_set,
    to_text,
)
from compiler_nb.operations.growth import check_place, check_selection
from compiler_nb.operations.idioms import kind_of_any, read_item
from compiler_nb.operations.operators import apply_operator, compare
from compiler_nb.operations.tables import base_of, kind_of, view_of
from compiler_nb.operations.weights import (
    TEXTS,
    check_size,
    hashed,
    is_a,
    items_of,
    length,
    short,
    spend_on_parts,
    weigh,
)
from compiler_nb.outcome import Cancelled, Failure, Skipped, is_lost
from compiler_nb.plan.expression import (
    Apply,
    Attribute,
    Binary,
    Choice,
    Clause,
    Compare,
    Comprehension,
    Fanout,
    Field,
    Function,
    Item,
    Lambda,
    Local,
    Logic,
    Method,
    Pattern,
    Slice,
    Text,
    Unary,
    Value,
    spell,
)
from compiler_nb.plan.tree import Expression, Input, Ref, Tree
from compiler_nb.signature.types import declared
from compiler_nb.text import cut, describe_error, fields_of, type_name

PANDAS: Final = "pd."
"""How the functions of pandas begin that are words of the language."""
_KEYS_SHOWN: Final = 300
"""Characters of a dict's keys that an error shows."""

_LEAST, _MOST = -(1 << 30) + 1, (1 << 30) - 1
"""Between these are the numbers that CPython adds and compares fastest."""
_LITERALS: Final = 4
"""Literals that are read in a step."""


class LostValue(ExpressionError):
    """An expression reads the task `id`, which ended without a value."""

    def __init__(self, id_: str, message: str) -> None:
        super().__init__(f"{id_}: {message}")
        self.id = id_


def evaluate(tree: Tree, scope: Scope) -> Any:
    """Return the value of a tree; containers are made anew, so the plan's own are never handed out.

    Raises ExpressionError with the failing part and its values in short, Heavy if the scope is inline and it is too
    much for the loop.
    """
    rule = _RULES.get(type(tree))
    if rule is None:
        return tree
    try:
        return rule(tree, scope)
    except (ExpressionError, Heavy, KeyboardInterrupt):
        raise
    except RecursionError:
        raise ExpressionError("a value is nested too deeply: use a tool") from None
    except BaseException as error:  # operators of a user's object may raise anything
        raise ExpressionError(_explain(tree, scope, error)) from error


def look_up(trees: Iterable[Tree], scope: Scope) -> list[Any] | None:
    """Return the values of trees that are results or literals; None if one must be evaluated, or has no value.

    This is free: it makes nothing and runs no code of a user's. It takes a fifth of the time of an evaluation, and most
    arguments of calls are like that.
    """
    found, values = [], scope.values
    for tree in trees:
        kind = type(tree)
        if kind is Ref:
            value = values[tree.id]
            kind = type(value)
            if kind is Failure or kind is Skipped or kind is Cancelled:
                return None
            found.append(value)
        elif kind in _RULES:
            return None
        else:
            found.append(tree)
    return found


def _explain(tree: Tree, scope: Scope, error: BaseException) -> str:
    values = []
    # The operands are evaluated again, for the message only: they cost steps a second time, but have no effects.
    for part in _OPERANDS.get(type(tree), lambda node: [])(tree):
        if isinstance(part, Ref | Input | Local | Item):
            with suppress(ExpressionError):
                values.append(f"{spell(part)[:60]} = {short(evaluate(part, scope))}")
    shown = f" (with {', '.join(list(dict.fromkeys(values))[:4])})" if values else ""
    if isinstance(error, KeyError) and type(tree) in (Item, Attribute):
        with suppress(ExpressionError):
            shown += _keys_there(evaluate(tree.value, scope))
    is_mask = isinstance(error, ValueError) and "truth value of a" in str(error)
    return f"{spell(tree)[:200]}: {_MASKS if is_mask else describe_error(error)[:200]}{shown}"


_MASKS: Final = (
    "a column as a whole is neither true nor false: combine masks with & | ~, each comparison in brackets, or ask"
    " any(...) or all(...)"
)
"""Said in place of the libraries' own words, which name methods that a plan cannot call."""


def _keys_there(value: Any) -> str:
    """Return which keys a dict has, or how many if they look like data: the message may be shown to a planner."""
    if not is_a(value, dict):
        return ""
    keys = fields_of(value)
    if keys or not dict.__len__(value):
        return f"; its keys are {cut(', '.join(keys), _KEYS_SHOWN)}" if keys else "; it is empty"
    first = next(dict.__iter__(value))
    return f"; it has {dict.__len__(value):,} keys, the first of the type {type_name(first)}"


_OPERANDS: Final[dict[type, Callable[[Any], list[Tree]]]] = {
    Binary: lambda node: [node.left, node.right],
    Item: lambda node: [node.value, node.key],
    Compare: lambda node: [node.first, *(part for _, part in node.rest)],
    Apply: lambda node: list(node.args),
    Method: lambda node: [node.value, *node.args],
    Unary: lambda node: [node.operand],
    Field: lambda node: [node.value],
    Attribute: lambda node: [node.value],
}
"""The parts of a node whose values help to explain an error."""


# -------------------------------------------------------------------- rules


def _ref(node: Ref, scope: Scope) -> Any:
    value = scope.values[node.id]
    kind = type(value)  # its very class: a user's may have no hash, and odd equality
    if kind is Failure or kind is Skipped or kind is Cancelled:
        if is_lost(value):
            raise LostValue(node.id, str(value))
        # a value that its test reads was changed in between
        raise ExpressionError(f"{node.id} was not needed when its test was evaluated, and now it is")
    return value


def _item(node: Item, scope: Scope) -> Any:
    scope.spend(1)
    if type(node.value) is Attribute and node.value.name in idioms.PLACES:
        return _place(node, node.value, scope)
    value, key = evaluate(node.value, scope), hashed(evaluate(node.key, scope), scope)
    if type(value) is not dict and is_a(value, dict):
        return read_key(value, key)
    if kind_of_any(value):
        _heavy_table(value, scope)
        check_selection(value, key)
        return read_item(value, key, lambda text: scope.notes.append(f"{spell(node)[:100]}: {text}"))
    if isinstance(node.key, Slice) and is_a(value, (list, tuple, *TEXTS)):
        is_text, size = is_a(value, TEXTS), len(range(*key.indices(length(value))))
        bound(size, TEXT if is_text else ITEMS, "characters of text" if is_text else "items")
        found = value[key]
        scope.spend(weigh(found))
        return scope.made(found)
    if type(key) is tuple:
        check_size(key, scope)  # an error shows the key that was not found
    try:
        return value[key]
    except TypeError:
        if type(key) is str and key in declared(type(value)):
            raise LookupError(f"{type_name(value)} has fields, not keys: read it as .{key}") from None
        raise


def _place(node: Item, part: Attribute, scope: Scope) -> Any:
    """Return `table.loc[key]` or `table.iloc[key]`; anything else has a field of that name, with an item."""
    table = evaluate(part.value, scope)
    if not kind_of(table):
        return evaluate(Item(Value(fields.read_field(table, part.name)), node.key), scope)
    key = evaluate(node.key, scope)
    _heavy_table(table, scope)
    check_place(table, part.name, key)
    return idioms.read_place(table, part.name, key)


def _heavy_table(table: Any, scope: Scope) -> None:
    """Note that an operation on a table, or a view of one, follows."""
    scope.heavy(base_of(table) if view_of(table) else table)


def _attribute(node: Attribute, scope: Scope) -> Any:
    scope.spend(1)
    value = evaluate(node.value, scope)
    if not kind_of_any(value):
        return fields.read_field(value, node.name)
    _heavy_table(value, scope)
    return idioms.read_field(value, node.name)


def _field(node: Field, scope: Scope) -> str:
    value = evaluate(node.value, scope)
    if kind_of(value):
        scope.heavy(value)
    if node.conversion:
        check_size(value, scope)
        value = scope.made(_CONVERSIONS[node.conversion](value))
    text: str = scope.made(format_value(value, str(evaluate(node.spec, scope)), scope))
    return text


def _unary(node: Unary, scope: Scope) -> Any:
    scope.spend(1)
    value = evaluate(node.operand, scope)
    if kind_of(value):
        scope.heavy(value)
    return _UNARY[node.operator](value)


def _binary(node: Binary, scope: Scope) -> Any:
    left, right, sign = evaluate(node.left, scope), evaluate(node.right, scope), node.operator
    # The most frequent case takes half the time of `apply_operator`.
    if type(left) is int and type(right) is int and (sign == "+" or sign == "-"):  # noqa: PLR1714 - a set takes longer
        value = left + right if sign == "+" else left - right  # no larger than what is there, by a digit at most
        if _LEAST <= value <= _MOST:
            scope.steps -= 1  # whatever else it is part of looks whether that was too much
            return value
    return apply_operator(sign, left, right, scope)


def _compare(node: Compare, scope: Scope) -> Any:
    left = evaluate(node.first, scope)
    for number, (sign, tree) in enumerate(node.rest, 1):
        right = evaluate(tree, scope)
        result = compare(sign, left, right, scope)
        if number == len(node.rest) or not result:  # the last result is not asked whether it is true: it may be a table
            break
        left = right
    return result


def _logic(node: Logic, scope: Scope) -> Any:
    scope.spend(1)
    for tree in node.values[:-1]:
        value = evaluate(tree, scope)
        if bool(value) is (node.operator == "or"):
            return value
    return evaluate(node.values[-1], scope)


def _choice(node: Choice, scope: Scope) -> Any:
    scope.spend(1)
    return evaluate(node.yes if evaluate(node.test, scope) else node.no, scope)


def _apply(node: Apply, scope: Scope) -> Any:
    scope.spend(1)
    first = node.args[0] if len(node.args) == 1 else None
    if node.function in ("any", "all") and isinstance(first, Comprehension) and first.container == "generator":
        wanted = node.function == "any"  # of the item that decides, where evaluation stops
        return _each(first, scope, lambda rows: any(bool(item) is wanted for item in rows)) is wanted
    if node.function == "next" and isinstance(node.args[0], Comprehension):
        found = _each(node.args[0], scope, lambda rows: next(rows, scope))
        if found is not scope:
            return found
        if len(node.args) == 1:
            raise ExpressionError("next() found no item: give a default, next((x for x in xs if test), None)")
        return evaluate(node.args[1], scope)
    args = [evaluate(arg, scope) for arg in node.args]
    if node.function.startswith(PANDAS):
        for table in filter(kind_of, args):
            scope.heavy(table)
        scope.heavy()
        words = {name: evaluate(arg, scope) for name, arg in node.kwargs}
        return idioms.call_function(node.function.removeprefix(PANDAS), tuple(args), words)
    keyed = node.function != "dict"
    kwargs = {
        name: _callable(arg, scope) if keyed and name == "key" else evaluate(arg, scope) for name, arg in node.kwargs
    }
    return scope.made(apply_function(node.function, scope, args, kwargs))


def _callable(tree: Tree, scope: Scope) -> Callable[..., Any] | None:
    """Return the function that gives the key of an item, and pays for comparing it."""
    if isinstance(tree, Lambda):
        return lambda *args: _compared(_call_lambda(tree, args, scope), scope)
    if isinstance(tree, Function) and tree.name != "get":
        return lambda value: _compared(FUNCTIONS[tree.name](scope, value), scope)
    if isinstance(tree, Function):
        table = evaluate(tree.value, scope)
        if type(table) not in DICTS:
            raise ExpressionError(f"key=….get needs a dict, not {type_name(table)}")
        return lambda value: _compared(table.get(hashed(value, scope)), scope)
    return None


def _compared(value: Any, scope: Scope) -> Any:
    spend_on_parts(value, scope)
    return value


def _call_lambda(node: Lambda, args: tuple[Any, ...], scope: Scope) -> Any:
    if len(args) != len(node.names):
        raise ExpressionError(f"a lambda of {len(node.names)} names is called with {len(args)}")
    outer = scope.locals
    scope.spend(1)
    scope.locals = {**outer, **dict(zip(node.names, args, strict=True))}
    try:
        return evaluate(node.body, scope)
    finally:
        scope.locals = outer


def _method(node: Method, scope: Scope) -> Any:
    scope.spend(1)
    value = evaluate(node.value, scope)
    kind, owner = kind_of_any(value), METHODS.get(node.name, {})
    own = owner.get(dict if type(value) in DICTS else type(value))
    if own is None and type(value) in (int, float):
        own = OF_NUMBERS.get(node.name)
    if own is None and idioms.find(node.name, kind) is None:
        kinds = {idioms.an(each) for idiom in idioms.METHODS.get(node.name, ()) for each in idiom.kinds}
        names = " or ".join([*(each.__name__ for each in owner), *sorted(kinds)])
        instead = idioms.INSTEAD.get(node.name) if type(value) in idioms.PLAIN else None
        hint = (
            f"write {instead}" if instead else idioms.OF_TABLES.get(node.name, "use a tool") if kind else "use a tool"
        )
        raise ExpressionError(f"{spell(node)[:200]}: .{node.name}() is for {names}, not {type_name(value)}: {hint}")
    if node.name == "assign":
        return _assign(node, value, scope)
    args = [evaluate(arg, scope) for arg in node.args]
    kwargs = {name: evaluate(arg, scope) for name, arg in node.kwargs}
    if kind:
        _heavy_table(value, scope)
        bound(value.size if node.name == "to_dict" else 0, ITEMS, "items")
        return idioms.call_method(value, node.name, tuple(args), kwargs)
    if type(value) is str:  # methods of dicts and lists pay for themselves
        bound(len(value), TEXT, f"characters of text for .{node.name}()")
        scope.spend(weigh(value))
    return scope.made(call(cast("Any", own), f".{node.name}", scope, value, *args, **kwargs))


def _assign(node: Method, table: Any, scope: Scope) -> Any:
    """Return a table with further columns, each of which may read those before it: `assign(x=lambda d: d.y * 2)`."""
    _heavy_table(table, scope)
    for name, tree in node.kwargs:
        column = _call_lambda(tree, (table,), scope) if isinstance(tree, Lambda) else evaluate(tree, scope)
        table = idioms.call_method(table, "assign", (), {name: column})
    return table


def _each(node: Comprehension, scope: Scope, collect: Callable[[Iterator[Any]], Any]) -> Any:
    """Return what `collect` makes of the items of a comprehension, whose names are bound in a scope of their own."""
    outer = scope.locals
    scope.locals = dict(outer)
    try:
        return scope.made(collect(_rows(node, node.clauses, scope)))
    finally:
        scope.locals = outer


def _members(tree: list[Tree] | tuple[Tree, ...] | set[Tree], scope: Scope) -> list[Any]:
    """Return the values of what stands in brackets, after paying for the container."""
    scope.spend(len(tree) // _LITERALS)
    return [evaluate(item, scope) for item in tree]


def _pairs(tree: dict[Tree, Tree], scope: Scope) -> dict[Any, Any]:
    scope.spend(len(tree) // _LITERALS)
    pairs = [(evaluate(key, scope), evaluate(value, scope)) for key, value in tree.items()]
    table = to_dict(pairs, scope)
    scope.made(table)
    return table


def _rows(node: Comprehension, clauses: tuple[Clause, ...], scope: Scope) -> Iterator[Any]:
    if not clauses:
        scope.spend(1)
        element = evaluate(node.element, scope)
        yield (evaluate(node.key, scope), element) if node.container == "dict" else element
        return
    clause = clauses[0]
    for value in items_of(evaluate(clause.source, scope), scope):
        bind(clause.target, value, scope.locals)
        if all(evaluate(condition, scope) for condition in clause.conditions):
            yield from _rows(node, clauses[1:], scope)


def bind(target: Pattern, value: Any, names: dict[str, Any]) -> None:
    """Bind the names of a `for` to a value; raise a ValueError if a tuple does not fit."""
    if isinstance(target, str):
        names[target] = value
        return
    parts = list(islice(value, len(target) + 1)) if is_a(value, (list, tuple, str)) else None
    if parts is None or len(parts) != len(target):
        raise ValueError(f"{short(value)} cannot be unpacked into {len(target)} names")
    for inner, part in zip(target, parts, strict=True):
        bind(inner, part, names)


def _refuse(node: Expression, scope: Scope) -> Any:
    raise ExpressionError(_NO_VALUE[type(node)])


_NO_VALUE: Final[dict[type, str]] = {
    Lambda: "a function can only be a key=",
    Function: "a function can only be a key=",
    Fanout: "a fan-out is expanded, not evaluated",
}
_CONVERSIONS: Final[dict[str, Callable[[Any], str]]] = {"r": repr, "s": str, "a": ascii}
_COLLECTED: Final[dict[str, Callable[[list[Any], Scope], Any]]] = {
    "list": lambda rows, scope: rows, "generator": lambda rows, scope: rows, "dict": to_dict, "set": to_set,
}  # fmt: skip
_UNARY: Final[dict[str, Callable[[Any], Any]]] = {
    "-": operator.neg, "+": operator.pos, "not": operator.not_, "~": operator.invert,
}  # fmt: skip
_RULES: Final[dict[type, Callable[[Any, Scope], Any]]] = {
    Ref: _ref,
    Input: lambda node, scope: scope.inputs[node.name],
    Local: lambda node, scope: scope.locals[node.name],
    Value: lambda node, scope: node.value,
    list: lambda tree, scope: scope.made(_members(tree, scope)),
    tuple: lambda tree, scope: scope.made(tuple(_members(tree, scope))),
    set: lambda tree, scope: scope.made(to_set(_members(tree, scope), scope)),
    dict: _pairs,
    Item: _item,
    Attribute: _attribute,
    Slice: lambda node, scope: slice(*(evaluate(part, scope) for part in (node.start, node.stop, node.step))),
    Text: lambda node, scope: to_text([str(evaluate(part, scope)) for part in node.parts], scope),
    Field: _field,
    Unary: _unary,
    Binary: _binary,
    Compare: _compare,
    Logic: _logic,
    Choice: _choice,
    Apply: _apply,
    Method: _method,
    Comprehension: lambda node, scope: _each(node, scope, lambda rows: _COLLECTED[node.container](list(rows), scope)),
    **dict.fromkeys(_NO_VALUE, _refuse),
}
