"""Arithmetic in a text: read by an allow-list and evaluated as the expressions of a plan are; nothing is executed."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from compiler_nb.errors import ExpressionError
from compiler_nb.operations.bounds import Scope
from compiler_nb.plan.check import DEPTH_LIMIT, Refused
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.reading import Reader
from compiler_nb.plan.statement import OPERATORS, Depth, parse_syntax
from compiler_nb.plan.tree import Tree
from compiler_nb.text import cut
from compiler_nb.tool import tool

LENGTH: Final = 10_000
"""Characters of the longest expression."""


@tool(pure=True)
def calculate(expression: str) -> float:
    """Evaluate arithmetic: + - * / // % ** and comparisons, min, max, sum, abs, round, sqrt, log, exp, mean, pi, e.

    Raises ExpressionError, which names the part that is wrong and the way to write it.
    """
    text = " ".join(expression.translate(_SIGNS).split())
    _check_writing(text)
    _check_size(text)
    try:
        tree = _Arithmetic((), lambda name: None).read(_parse(text))
    except Refused as refused:
        part = ast.get_source_segment(text, refused.place) if isinstance(refused.place, ast.AST) else None
        _fail(part or text, refused.message)
    return _checked(text, evaluate(tree, Scope({})))


def _fail(part: str, message: str) -> NoReturn:
    raise ExpressionError(f"{cut(part, 80)}: {message}")


def _checked(text: str, value: Any) -> float:
    """Return the result if it is one real, finite number, or whether a comparison holds."""
    if isinstance(value, complex):
        _fail(text, "the result is not a real number")
    if not isinstance(value, int | float):
        _fail(text, "this makes more than one number: write a single expression")
    if isinstance(value, float) and not math.isfinite(value):
        _fail(text, "the result is too large for a number")
    return value


# -------------------------------------------------------------------- writing

_SIGNS: Final = {0xD7: "*", 0xF7: "/", 0x2212: "-", 0xA0: " "}
"""The typographic signs for times, divided by, minus and space, and what the keyboard has for them."""
_DIGITS: Final = r"(?<![\w.])(?:\d[\d_]*+(?:\.[\d_]*+)?+|\.\d++)(?:[eE][-+]?+\d++)?+"
_HABITS: Final = (
    (r"\^", "write ** for a power"),
    (r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)", "write a number without commas, and between arguments a comma and a space"),
    (r"(?:(?<![\d.])[\d.]++|\)) ?%(?= ?(?:$|[-+*/),]|of\b))", "write 15/100 for 15%"),
    (r"(?<![=<>!])=(?!=)", "write the expression alone, without ="),
    (r"[$\u20ac\u00a3\u00a5]", "write numbers without a currency"),
    (_DIGITS + r"[^\W\d_]+", "write numbers in plain digits without units, and * between factors"),
    (r"[\"'`\\{}#:@;|&~]", "only numbers, operators, brackets and functions can stand here"),
)
_TOKEN: Final = re.compile(
    r"(?P<open>[(\[])|(?P<close>[)\]])|(?P<comma>,)|(?P<operator>\*\*|//|[<>=!]=|[-+*/%<>]|\b[a-z]+\b)"
)


def _check_writing(text: str) -> None:
    """Refuse notation that Python cannot read, or reads as something else."""
    if len(text) > LENGTH:
        _fail(text, f"an expression of {len(text):,} characters; at most {LENGTH:,} are allowed")
    if not text:
        raise ExpressionError("the expression is empty: give one, such as 2 * (3 + 4)")
    for pattern, hint in _HABITS:
        found = re.search(pattern, text)
        if found:
            _fail(found[0], hint)


def _check_size(text: str) -> None:
    """Refuse what nests too deeply, before the parser sees it: it could be made to overflow the stack."""
    depth = Depth()
    for token in _TOKEN.finditer(text):
        depth.take(token.lastgroup or "")
        if depth.over == "brackets":
            _fail(text, f"brackets nest more than {DEPTH_LIMIT} deep: compute in parts")
        if depth.over:
            _fail(text, f"more than {OPERATORS} operators in a row: write sum([...]), or compute in parts")


def _parse(text: str) -> ast.expr:
    try:
        return parse_syntax(text, "eval").body  # type: ignore[no-any-return]  # an expression
    except SyntaxError as error:
        near = text[max((error.offset or 1) - 1, 0) :] or text
        _fail(near[:40], "this is not arithmetic: write numbers, operators and functions, without words or units")
    except (ValueError, RecursionError, MemoryError):
        _fail(text, "this cannot be read: write numbers, operators and functions")


# -------------------------------------------------------------------- reading


def _mean(*values: Any) -> float:
    numbers = values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values
    return math.fsum(numbers) / len(numbers)


_CONSTANTS: Final = {"pi": math.pi, "e": math.e}
_OWN: Final[dict[str, Callable[..., float]]] = {"sqrt": math.sqrt, "log": math.log, "exp": math.exp, "mean": _mean}
_SHARED: Final = frozenset({"min", "max", "sum", "abs", "round"})
_ALLOWED: Final = (
    ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call, ast.List, ast.Tuple,
)  # fmt: skip
_OFFERED: Final = ", ".join([*sorted(_SHARED), *_OWN, *_CONSTANTS])


class _Arithmetic(Reader):
    """Reads arithmetic: expressions of numbers, as in plans, and a few functions and constants of its own."""

    def read(self, node: ast.expr) -> Tree:
        """Return the tree of an expression; its own functions are called here, because their arguments are known."""
        if not isinstance(node, _ALLOWED):
            raise Refused("expression", "only numbers, operators, brackets and functions can stand here", node)
        if isinstance(node, ast.Call):
            return self._function(node)
        return super().read(node)

    def name(self, node: ast.Name, *, text: bool = True, method: str = "") -> Tree:
        """Return a constant."""
        if node.id not in _CONSTANTS:
            raise Refused("expression", f"this name is not known; use one of {_OFFERED}, and leave units out", node)
        return _CONSTANTS[node.id]

    def _function(self, node: ast.Call) -> Tree:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _OWN and name not in _SHARED:
            hint = "; between factors write *, as in 2 * (3)" if isinstance(node.func, ast.Constant) else ""
            raise Refused("expression", f"this function is not available; use one of {_OFFERED}{hint}", node.func)
        if node.keywords:
            raise Refused("bad_args", f"{name} takes numbers only", node)
        if name in _SHARED:
            return super().read(node)
        args = [evaluate(tree, Scope({})) for tree in self.many(node.args)]
        try:
            return _OWN[name](*args)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise Refused("expression", f"{type(error).__name__}: {error}", node) from None
