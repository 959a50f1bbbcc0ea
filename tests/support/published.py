"""The published table of how plans differ from plain pandas: read, tried, and put in the place of Python's own."""

from __future__ import annotations

import ast
import builtins
import math
import re
import warnings
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

PAGE = (Path(__file__).parents[2] / "docs" / "plans.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Tables and fields")[2].partition("\n## ")[0]


class Row(NamedTuple):
    """One row: a plan's text, and what gives the same in plain pandas."""

    plan: str
    pandas: str


ROWS = [Row(*found) for found in re.findall(r"^\| `([^`]*)` \| `([^`]*)` \|", SECTION, re.MULTILINE)]
_BY_TEXT = dict(ROWS)
LIBRARIES = {"pandas": pd, "numpy": np}


def in_python(text: str, **values: Any) -> Any:
    """Return what Python makes of a text, with nothing of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(text, {**LIBRARIES, **values})  # noqa: S307 - the tests' own text


def plain(value: Any) -> Any:
    """Return a number as Python's own."""
    if type(value) in (list, tuple):
        return type(value)(plain(each) for each in value)
    if type(value) is dict:
        return {plain(key): plain(each) for key, each in value.items()}
    return value.item() if isinstance(value, np.generic) and value.dtype.kind in "biufcU" else value


def _name_of(value: Any) -> str:
    """Return the name by which the table calls a value; "" if it is not about such values."""
    if type(value) is pd.Series:
        return "c" if getattr(value.dtype, "ordered", False) else "s"
    return "a" if type(value) is np.ndarray else ""


def _function(name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        short = _name_of(args[0]) if len(args) == 1 or name == "sum" else ""
        if name == "round" and type(args[0]) is np.ndarray:
            return args[0].round(*args[1:])
        given = ", reverse=True" if kwargs.get("reverse") else ""
        text = _BY_TEXT.get(f"{name}({short}{given})")
        if short == "c" and text is None:  # its categories are ordered, which does not matter here
            short, text = "s", _BY_TEXT.get(f"{name}(s)")
        if text and name == "sum":
            text = f"{text[:-1]}, {args[1] if len(args) > 1 else 0})"
        if text and "default" in kwargs:
            text = f"{text[:-1]}, default={kwargs['default']!r})"
        return plain(in_python(text, **{short: args[0]}) if text else getattr(builtins, name)(*args, **kwargs))

    return call


def _item(value: Any, key: Any) -> Any:
    if type(value) is pd.Series and type(key) is int and key not in value.index:
        index = value.index
        if index.name is None and index.dtype.kind in "iu" and value.name not in ("count", "proportion"):
            return plain(value.iloc[key])
    return plain(value[key])


def _method(value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    text = _BY_TEXT.get(f"a.{name}()") if _name_of(value) == "a" and not kwargs else None
    found = plain(in_python(text, a=value) if text else getattr(value, name)(*args, **kwargs))
    return np.asarray(found) if isinstance(found, pd.api.extensions.ExtensionArray) else found


FIELDS = ("shape", "columns", "dtypes", "dtype", "index", "loc", "iloc")
OF_COLUMNS = ("str", "dt")


def _field(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return plain(value[name])
    if type(value) is pd.DataFrame:
        return getattr(value, name) if name in FIELDS else plain(value[name])
    if type(value) is pd.Series:
        return getattr(value, name) if name in (*FIELDS, *OF_COLUMNS) else plain(value[name])
    return getattr(value, name)  # a view's


class _Rewrite(ast.NodeTransformer):
    """Puts what the table says in the place of items, fields and methods."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        key: ast.expr = _slice(node.slice)
        if isinstance(key, ast.Tuple):
            key = ast.Tuple([_slice(each) for each in key.elts], ast.Load())
        return ast.Call(ast.Name("_item", ast.Load()), [node.value, key], [])

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Call(ast.Name("_field", ast.Load()), [node.value, ast.Constant(node.attr)], [])

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not isinstance(node.func, ast.Attribute) or ast.unparse(node.func).startswith("pd."):
            node.args = [self.visit(each) for each in node.args]
            node.keywords = [ast.keyword(word.arg, self.visit(word.value)) for word in node.keywords]
            return node
        args = [self.visit(each) for each in (node.func.value, *node.args)]
        keywords = [ast.keyword(word.arg, self.visit(word.value)) for word in node.keywords]
        return ast.Call(ast.Name("_method", ast.Load()), [args[0], ast.Constant(node.func.attr), *args[1:]], keywords)


def _slice(node: ast.expr) -> ast.expr:
    if not isinstance(node, ast.Slice):
        return node
    parts = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
    return ast.Call(ast.Name("slice", ast.Load()), parts, [])


def by_the_table(text: str, **values: Any) -> Any:
    """Return what plain pandas makes of a plan's expression after the published table."""
    tree = ast.fix_missing_locations(_Rewrite().visit(ast.parse(text, mode="eval")))
    helpers = {name: _function(name) for name in ("sum", "max", "min", "any", "all", "sorted", "round")}
    helpers |= {"_item": _item, "_field": _field, "_method": _method, "pd": pd}
    helpers["zip"] = lambda *values: zip(*map(helpers["list"], values), strict=False)
    helpers["list"] = lambda value=(): value.tolist() if type(value) is np.ndarray else list(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plain(eval(compile(tree, "table", "eval"), {**helpers, **values}))  # noqa: S307 - the tests' own text


_FLOAT: Final = re.compile(r"[0-9]+\.[0-9]+(?:e[-+][0-9]+)?")


def alike(ours: Any, theirs: Any) -> bool:  # noqa: PLR0911 - one for each kind of value
    """Whether two values are the same, missing ones too; the last digits of a float may differ, in a text, too.

    NumPy adds the numbers of an array in another order if it lies elsewhere in the memory.
    """
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, pd.Series | pd.DataFrame | pd.Index):
        tester = {pd.Series: "series", pd.DataFrame: "frame"}.get(type(ours), "index")
        try:
            getattr(pd.testing, f"assert_{tester}_equal")(ours, theirs)
        except AssertionError:
            return False
        return True
    if isinstance(ours, np.ndarray):
        return ours.dtype == theirs.dtype and alike(ours.tolist(), theirs.tolist())
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(alike, ours, theirs))
    if isinstance(ours, dict):
        return alike(list(ours.items()), list(theirs.items()))
    if isinstance(ours, float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(ours) and math.isnan(theirs))
    if isinstance(ours, str) and ours != theirs and _FLOAT.sub("", ours) == _FLOAT.sub("", theirs):
        return alike([*map(float, _FLOAT.findall(ours))], [*map(float, _FLOAT.findall(theirs))])
    return ours is theirs or (pd.isna(ours) is True and pd.isna(theirs) is True) or bool(ours == theirs)
