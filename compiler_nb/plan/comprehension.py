"""Rewrite comprehensions that call tools: each kind of call gets a fan-out of its own, over one `for`.

Theory of operation
    A fan-out calls tools in its element, over one `for`. A call anywhere else in a comprehension, in a later `for`, a
    condition or a key, is made once for each row that comes so far. So it becomes a fan-out of its own, of pairs of the
    row's names and the value, and the comprehension goes on over these pairs:

        [load(o) for c in cs for o in orders(c) if o]
        [load(o) for c, found in [(c, orders(c)) for c in cs] for o in found if o]

    A comprehension over several `for` fans out over the rows of their names:

        [compare(a, b) for a in xs for b in ys]
        [compare(a, b) for a, b in ((a, b) for a in xs for b in ys)]

    Both are changes of Python's syntax tree, and give what Python gives.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from itertools import count
from typing import TypeAlias

AnyComprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
HoldsCall: TypeAlias = Callable[[ast.expr], bool]


def hoist(node: AnyComprehension, holds_call: HoldsCall, taken: Collection[str]) -> AnyComprehension:
    """Return a comprehension that calls tools in its element only, and in fan-outs that its first `for` reads.

    taken: names that it may not use for the values of those. The node itself is not changed.
    """
    used = {*taken, *(each.id for each in ast.walk(node) if isinstance(each, ast.Name))}
    done: list[ast.comprehension] = []

    def value(of: ast.expr) -> ast.expr:
        nonlocal done
        if not holds_call(of):
            return of
        found = next(name for n in count(1) if (name := f"found{n if n > 1 else ''}") not in used)
        used.add(found)
        # All names of the rows so far go into the pair: what comes later may read any of them.
        names = _names(done)
        pairs = ast.copy_location(ast.ListComp(_row([*names, of]), done), of)
        done = [ast.comprehension(_row([*names, ast.Name(found)]), pairs, [], 0)]
        return ast.copy_location(ast.Name(found), of)

    for each in node.generators:
        # The first `for` is read once, whatever it calls: that is an ordinary task.
        source = value(each.iter) if done else each.iter
        done.append(ast.comprehension(each.target, source, [], each.is_async))
        for test in each.ifs:
            condition = value(test)  # it may replace the rows
            done[-1].ifs.append(condition)
    if isinstance(node, ast.DictComp):
        key = value(node.key)
        return ast.copy_location(ast.DictComp(key, node.value, done), node)
    return ast.copy_location(type(node)(node.elt, done), node)


def merge(generators: list[ast.comprehension]) -> ast.comprehension:
    """Return one `for` over the rows that several bind."""
    if len(generators) == 1:
        return generators[0]
    names = _names(generators)
    row = _row(names) if len(names) > 1 else names[0]
    rows = ast.copy_location(ast.GeneratorExp(row, generators), generators[0].iter)
    return ast.comprehension(row, rows, [], 0)


def _names(generators: list[ast.comprehension]) -> list[ast.expr]:
    """Return the names that these bind, each once."""
    bound = (each for part in generators for each in ast.walk(part.target) if isinstance(each, ast.Name))
    return list({each.id: each for each in bound}.values())


def _row(parts: list[ast.expr]) -> ast.Tuple:
    return ast.copy_location(ast.Tuple(parts), parts[-1])
