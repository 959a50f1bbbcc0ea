"""The helpers that a script needs, as text: those that it names, and those that they name in turn."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterable, Iterator

from compiler_nb.script import table_helpers, task_helpers

Fragment = tuple[int, str, frozenset[str]]
"""A part of a file of helpers: its place, its text, and the names that it uses."""


@functools.cache
def _pieces() -> dict[str, Fragment]:
    """Return the parts of the helpers' files by name, in the order in which a script has them."""
    first, second = inspect.getsource(task_helpers), inspect.getsource(table_helpers)
    return dict(_pieces_of(second, first.count("\n"))) | dict(_pieces_of(first, 0))


def _pieces_of(text: str, before: int) -> Iterator[tuple[str, Fragment]]:
    """Yield the parts of a file by the names that they bind; before: how many lines stand before it."""
    lines, body = text.split("\n"), ast.parse(text).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        end = node.end_lineno or node.lineno
        source = "\n".join(lines[node.lineno - 1 : end])
        if following is not None and _is_text(following):
            source += "\n" + "\n".join(lines[following.lineno - 1 : following.end_lineno])
        used = frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        for name in _bound(node):
            yield name, (before + node.lineno, source, used)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bound(node: ast.stmt) -> list[str]:
    """Return the names that a statement binds."""
    match node:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            return [name]
        case ast.Assign(targets=[*targets]):
            return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        case ast.AnnAssign(target=ast.Name(name)):
            return [name]
        case ast.Import(names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name for alias in names]
    return []


def names_in(text: str) -> set[str]:
    """Return the names that a piece of Python uses."""
    return {part.id for part in ast.walk(ast.parse(text)) if isinstance(part, ast.Name)}


def helpers_for(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the imports, and the text of the helpers, that these names need, in the order of their files."""
    pieces, open_ = _pieces(), list(names)
    needed: dict[str, Fragment] = {}
    for name in open_:
        if name in pieces and name not in needed:
            needed[name] = pieces[name]
            open_ += pieces[name][2]
    texts = sorted({(line, text) for line, text, _ in needed.values()})
    imports = [_only(text, needed) for _, text in texts if text.startswith(("import ", "from "))]
    helpers = [text for _, text in texts if not text.startswith(("import ", "from "))]
    return sorted(imports, key=lambda line: (line.startswith("from "), line)), helpers


def _only(text: str, needed: Iterable[str]) -> str:
    """Return an import with those of its names that are needed."""
    (node,) = ast.parse(text).body
    if isinstance(node, ast.ImportFrom):
        names = [alias.name for alias in node.names if (alias.asname or alias.name) in set(needed)]
        return f"from {node.module} import {', '.join(names)}"
    return text


def own_names() -> set[str]:
    """Return the names of all helpers, which nothing else in a script may have."""
    return {name for name, (_, text, _) in _pieces().items() if not text.startswith(("import ", "from "))}
