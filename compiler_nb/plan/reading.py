"""Read Python's syntax tree of one expression into nodes, by an allow-list.

Here no call of a tool is read: `compiler_nb.plan.line` reads those. Anything that is not on the list is refused, with a
hint how to write it instead, in the words of `compiler_nb.plan.refusals`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar, Final, NoReturn

from compiler_nb.operations import idioms
from compiler_nb.operations.functions import FUNCTIONS, KEYWORDS, METHODS, OF_NUMBERS, check_spec
from compiler_nb.plan import check
from compiler_nb.plan.check import Refused
from compiler_nb.plan.comprehension import AnyComprehension
from compiler_nb.plan.expression import (
    Apply,
    Attribute,
    Binary,
    Choice,
    Clause,
    Compare,
    Comprehension,
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
    pattern_names,
)
from compiler_nb.plan.refusals import PLACES, SCORES, describe, no_attribute, no_function, no_method, no_name
from compiler_nb.plan.tree import Expression, Tree, walk

_SIGNS: Final[dict[type, str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.UAdd: "+", ast.USub: "-", ast.Not: "not", ast.Invert: "~",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_TYPES: Final = frozenset({"int", "float", "str", "bool"})
_COMPREHENSIONS: Final = {
    ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict", ast.GeneratorExp: "generator",
}  # fmt: skip


class Reader:
    """Reads expressions.

    known: the names of tasks and inputs; resolve: what one of them stands for; is_tool: whether a name in call position
    is a tool.
    """

    def __init__(
        self,
        known: Collection[str],
        resolve: Callable[[str], Tree],
        is_tool: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.known, self.resolve, self.is_tool = known, resolve, is_tool
        self.locals: frozenset[str] = frozenset()  # the names that comprehensions and lambdas around this place bind

    def read(self, node: ast.expr) -> Tree:
        """Return the tree of an expression; raise Refused if it is not allowed."""
        rule = self.rules.get(type(node))
        if rule is None:
            if isinstance(node, ast.NamedExpr):
                raise Refused("expression", "an assignment stands on a line of its own: name = ...", node)
            raise Refused("expression", f"{describe(node)} is not allowed in a plan: use a tool", node)
        return rule(self, node)

    # ---------------------------------------------------------------- leaves

    def _constant(self, node: ast.Constant) -> Tree:
        if isinstance(node.value, bytes | complex) or node.value is Ellipsis:
            raise Refused("expression", f"{describe(node)} is not allowed in a plan: write text or a number", node)
        check.check_literal(node.value, node)
        return node.value

    def operand(self, node: ast.expr, method: str = "") -> Tree:
        """Read what an operation is applied to; a name is never a text without quotes. method: what is called on it."""
        return self.name(node, text=False, method=method) if isinstance(node, ast.Name) else self.read(node)

    def name(self, node: ast.Name, *, text: bool = True, method: str = "") -> Tree:
        """Return what a name stands for. text: whether a text that lacks its quotes may be meant."""
        name = node.id
        if name in self.locals:
            return Local(name)
        if name in self.known:
            return self.resolve(name)
        if name.startswith("_"):
            raise Refused(
                "dunder", f"{name!r} begins with an underscore: a plan reads only tasks and offered inputs", node
            )
        meant = no_name(name, [*self.locals, *self.known], self.is_tool, text=text, method=method)
        raise Refused("missing_ref", f"no task above and no offered input is called {name!r}.{meant}", node)

    def _text(self, node: ast.JoinedStr) -> Tree:
        parts = tuple(self._piece(part) for part in node.values)
        return Text(parts) if any(type(part) is not str for part in parts) else "".join(parts)

    def _piece(self, part: ast.expr) -> Tree:
        if isinstance(part, ast.Constant):
            return self._constant(part)
        if not isinstance(part, ast.FormattedValue):
            raise Refused("fstring", "this f-string is not allowed in a plan: write only values in braces", part)
        value = self.operand(part.value)
        spec = "" if part.format_spec is None else self.read(part.format_spec)
        wrong = check_spec(spec) if isinstance(spec, str) else ""
        if wrong:
            raise Refused("fstring", wrong, part)
        conversion = "" if part.conversion == -1 else chr(part.conversion)
        return Field(value, conversion, spec)

    # ---------------------------------------------------------------- containers

    def many(self, nodes: list[ast.expr]) -> Iterator[Tree]:
        """Yield the trees of items; calls in them go to `parts`."""
        for node in nodes:
            if isinstance(node, ast.Starred):
                raise Refused("star_args", "a star is not allowed here: write the items one by one", node)
            yield self.read(node)

    def _set(self, node: ast.Set) -> Tree:
        members = list(self.many(node.elts))
        # Two expressions may be equal, as str(1) and str(True) are, and have two values.
        lists = _holds_lists(members, node)
        return Apply("set", (members,)) if lists or len(set(members)) < len(members) else set(members)

    def _dict(self, node: ast.Dict) -> Tree:
        pairs: list[tuple[Tree, Tree]] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise Refused("star_args", "** is not allowed here: write the keys one by one", value)
            pairs.append((self.read(key), self.read(value)))
        if _holds_lists([key for key, _ in pairs], node):
            return Apply("dict", (pairs,))
        table = dict(pairs)
        if len(table) < len(pairs) and any(True for _ in walk([key for key, _ in pairs])):
            return Apply("dict", (pairs,))  # two expressions may be equal, and have two values
        if len(table) < len(pairs):
            raise Refused("duplicate_key", "the same key is given twice in one dict: keep one", node)
        return table

    def _item(self, node: ast.Subscript) -> Tree:
        if isinstance(node.value, ast.Attribute) and node.value.attr in PLACES:
            raise Refused("attribute", no_attribute(node.value), node.value)
        value = self.operand(node.value)
        key = self._key_of(node.slice)
        if isinstance(key, str) and key.startswith("_"):
            raise Refused("dunder", f"the key {key!r} begins with an underscore and cannot be read: use a tool", node)
        return Item(value, key)

    def _key_of(self, node: ast.expr) -> Tree:
        """Read what stands in brackets behind a value: a key, a slice, or several of them, as behind `.loc`."""
        if isinstance(node, ast.Slice):
            return self._slice(node)
        if isinstance(node, ast.Tuple) and any(isinstance(each, ast.Slice) for each in node.elts):
            return tuple(map(self._key_of, node.elts))
        return self.read(node)

    def _slice(self, node: ast.Slice) -> Tree:
        return Slice(*(None if part is None else self.read(part) for part in (node.lower, node.upper, node.step)))

    # ---------------------------------------------------------------- operators

    def _unary(self, node: ast.UnaryOp) -> Tree:
        # `-1` is a sign and a number for Python; as a literal, tools can check it while the plan is read.
        operand = self.operand(node.operand)
        sign = self._sign(node.op, node)
        if type(operand) in (int, float) and sign in ("+", "-"):
            return -operand if sign == "-" else operand
        return Unary(sign, operand)

    def _binary(self, node: ast.BinOp) -> Tree:
        return Binary(self.operand(node.left), self._sign(node.op, node), self.operand(node.right))

    def _compare(self, node: ast.Compare) -> Tree:
        pairs = zip(node.ops, node.comparators, strict=True)
        return Compare(self.read(node.left), tuple((self._sign(sign, node), self.read(part)) for sign, part in pairs))

    @staticmethod
    def _sign(sign: ast.AST, node: ast.AST) -> str:
        text = _SIGNS.get(type(sign))
        if text is None:
            raise Refused(
                "expression", "only + - * / // % ** & | ~ and comparisons are allowed in a plan: use a tool", node
            )
        return text

    def _logic(self, node: ast.BoolOp) -> Tree:
        return Logic("and" if isinstance(node.op, ast.And) else "or", tuple(map(self.read, node.values)))

    def _choice(self, node: ast.IfExp) -> Tree:
        return Choice(self.operand(node.test), self.read(node.body), self.read(node.orelse))

    def _await(self, node: ast.Await) -> Tree:
        if not isinstance(node.value, ast.Call):
            raise Refused("expression", "await is only allowed before a call: leave it out", node)
        return self.read(node.value)

    # ---------------------------------------------------------------- functions and methods

    def _call(self, node: ast.Call) -> Tree:
        match node.func:
            case ast.Attribute(value=ast.Name(id="pd" | "pandas" as name), attr=function) if not self._is_known(name):
                return self._of_pandas(function, node)
            case ast.Attribute() as method:
                return self._method(node, method)
            case ast.Name(id=name) if name in FUNCTIONS:
                return self._apply(name, node)
            case _:
                raise Refused("expression", "only a tool can be called, by its name: name = tool(...)", node)

    def arguments(self, node: ast.Call) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
        """Read the arguments of a call: the positional ones, and those by name."""
        if len(node.args) + len(node.keywords) > check.ARGUMENT_LIMIT:
            count = len(node.args) + len(node.keywords)
            raise Refused(
                "too_many_tasks",
                f"a call with {count:,} arguments; at most {check.ARGUMENT_LIMIT} are allowed: give a list",
                node,
            )
        if any(isinstance(arg, ast.Starred) for arg in node.args) or any(word.arg is None for word in node.keywords):
            raise Refused("star_args", "* and ** are not allowed in a call: write the arguments one by one", node)
        words = [word.arg or "" for word in node.keywords]
        if len(set(words)) < len(words):
            raise Refused("duplicate_key", "the same argument is given twice: keep one", node)
        return tuple(self.read(arg) for arg in node.args), {
            word.arg or "": self.read(word.value) for word in node.keywords
        }

    def _apply(self, name: str, node: ast.Call) -> Tree:
        if name == "next" and not (node.args and isinstance(node.args[0], ast.GeneratorExp)):
            raise Refused(
                "expression",
                "next takes a generator, next((x for x in xs if test), None); of a list, write xs[0]",
                node,
            )
        if name != "dict":
            self._check_words(f"{name}()", node, KEYWORDS.get(name, frozenset()))
        # `key=` takes a function, which is not an expression anywhere else; to `dict` it is a name like any other.
        keys = [word for word in node.keywords if word.arg == "key" and name != "dict"]
        rest = ast.Call(node.func, node.args, [word for word in node.keywords if word not in keys])
        args, kwargs = self.arguments(ast.copy_location(rest, node))
        return Apply(name, args, (*kwargs.items(), *(("key", self._key(word.value)) for word in keys)))

    @staticmethod
    def _check_words(what: str, node: ast.Call, known: frozenset[str]) -> None:
        unknown = {word.arg for word in node.keywords if word.arg} - known
        if unknown:
            takes = ", ".join(f"{each}=" for each in sorted(known)) or "no argument by its name"
            if unknown == {"inplace"}:
                raise Refused(
                    "bad_args", f"{what} changes nothing in a plan: leave out inplace, and name what it gives", node
                )
            raise Refused("bad_args", f"{what} takes no {min(unknown)}= in a plan; it takes {takes}", node)

    def _key(self, node: ast.expr) -> Tree:
        match node:
            case ast.Lambda():
                return self._read_lambda(node)
            case ast.Name(id=name) if name in FUNCTIONS and name not in self.locals:
                return Function(name)
            case ast.Attribute(value=table, attr="get"):
                return Function("get", self.read(table))
            case ast.Constant(value=None):
                return None
            case ast.Name(id=name) if self.is_tool(name):
                raise Refused("nested_call", SCORES, node)
            case _:
                raise Refused(
                    "expression",
                    'key= takes a lambda, as in key=lambda x: x["name"], a function such as len, or .get of a dict',
                    node,
                )

    def _read_lambda(self, node: ast.Lambda) -> Tree:
        spec = node.args
        if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.defaults or spec.posonlyargs:
            raise Refused("expression", "a lambda in a plan takes plain names only, as in lambda x: x[1]", node)
        names = tuple(arg.arg for arg in spec.args)
        self._check_names(names, node)
        outer, self.locals = self.locals, self.locals.union(names)
        body = self.read(node.body)
        self.locals = outer
        return Lambda(names, body)

    def _is_known(self, name: str) -> bool:
        return name in self.locals or name in self.known

    def _of_pandas(self, name: str, node: ast.Call) -> Tree:
        """Read a function of pandas, which is a word of the language: `pd.concat(...)`."""
        idiom = idioms.FUNCTIONS.get(name)
        if idiom is None:
            raise Refused("attribute", no_function(name), node)
        self._check_words(f"pd.{name}()", node, frozenset({*idiom.places, *idiom.words}))
        args, kwargs = self.arguments(node)
        return Apply(f"pd.{name}", args, tuple(kwargs.items()))

    def _method(self, node: ast.Call, func: ast.Attribute) -> Tree:
        value, name = self.operand(func.value, func.attr), func.attr
        if not any(name in methods for methods in (METHODS, idioms.METHODS, OF_NUMBERS)):
            raise Refused("attribute", no_method(func), func)
        if name not in idioms.MADE_OF_NAMES:
            self._check_words(f".{name}()", node, idioms.WORDS.get(name, frozenset()))
        for part in (*node.args, *(word.value for word in node.keywords)) if name != "astype" else ():
            if isinstance(part, ast.Name) and part.id in FUNCTIONS and not self._is_known(part.id):
                raise Refused("expression", f'a function is given by its name, as text: "{part.id}"', part)
        if name == "astype":
            node = _with_named_types(node, self._is_known)
        lambdas = [word for word in node.keywords if name == "assign" and isinstance(word.value, ast.Lambda)]
        rest = ast.Call(func, node.args, [word for word in node.keywords if word not in lambdas])
        args, kwargs = self.arguments(ast.copy_location(rest, node))
        read = kwargs | {str(word.arg): self._read_lambda(word.value) for word in lambdas}  # type: ignore[arg-type]
        return Method(value, name, args, tuple((str(word.arg), read[str(word.arg)]) for word in node.keywords))

    def _attribute(self, node: ast.Attribute) -> Tree:
        name = node.attr
        if name.startswith(("_", "to_")) and name != "to_dict":
            raise Refused("attribute", no_attribute(node), node)
        return Attribute(self.operand(node.value), name)

    def _lambda(self, node: ast.Lambda) -> NoReturn:
        raise Refused("expression", "a lambda can only be a key=, as in max(xs, key=lambda x: x[1])", node)

    # ---------------------------------------------------------------- comprehensions

    def _comprehension(self, node: AnyComprehension) -> Tree:
        outer = self.locals  # each `for` is in sight of what follows it, and none of them behind the bracket
        clauses = tuple(map(self.clause, node.generators))
        key = self.read(node.key) if isinstance(node, ast.DictComp) else None
        element = self.read(node.value if isinstance(node, ast.DictComp) else node.elt)
        self.locals = outer
        return Comprehension(_COMPREHENSIONS[type(node)], element, clauses, key)  # type: ignore[arg-type]

    def clause(self, generator: ast.comprehension) -> Clause:
        """Read a `for` with its conditions; its names stay in sight for what follows."""
        if generator.is_async:
            raise Refused("expression", "leave out async: calls run side by side anyway", generator.iter)
        source = self.operand(generator.iter)
        target = self._pattern(generator.target)
        self.locals = self.locals.union(pattern_names(target))
        return Clause(target, source, tuple(map(self.read, generator.ifs)))

    def _pattern(self, node: ast.expr) -> Pattern:
        match node:
            case ast.Name(id=name):
                self._check_names((name,), node)
                return name
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return tuple(self._pattern(part) for part in parts)
            case _:
                raise Refused("expression", "a `for` binds a name or a tuple of names: write for x in xs", node)

    def _check_names(self, names: Collection[str], node: ast.AST) -> None:
        for name in names:
            if name in self.locals and name != "_":
                raise Refused("bad_name", f"{name!r} is bound twice, one inside the other: choose another name", node)
            if name != "_":
                check.check_name(name, node)

    rules: ClassVar[dict[type, Callable[[Any, Any], Tree]]] = {
        ast.Constant: _constant,
        ast.Name: lambda reader, node: reader.name(node),
        ast.JoinedStr: _text,
        ast.List: lambda reader, node: list(reader.many(node.elts)),
        ast.Tuple: lambda reader, node: tuple(reader.many(node.elts)),
        ast.Set: _set,
        ast.Dict: _dict,
        ast.Subscript: _item,
        ast.UnaryOp: _unary,
        ast.BinOp: _binary,
        ast.Compare: _compare,
        ast.BoolOp: _logic,
        ast.IfExp: _choice,
        ast.Await: _await,
        ast.Call: _call,
        ast.Attribute: _attribute,
        ast.Lambda: _lambda,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.DictComp: _comprehension,
        ast.GeneratorExp: _comprehension,
    }


def _with_named_types(node: ast.Call, is_known: Callable[[str], bool]) -> ast.Call:
    """Return `astype(int)` as `astype("int")`: a type is not a value of the language."""

    def named(part: ast.expr) -> ast.expr:
        if isinstance(part, ast.Name) and part.id in _TYPES and not is_known(part.id):
            return ast.copy_location(ast.Constant(part.id), part)
        if isinstance(part, ast.Dict):
            return ast.copy_location(ast.Dict(part.keys, [named(each) for each in part.values]), part)
        return part

    words = [ast.copy_location(ast.keyword(word.arg, named(word.value)), word) for word in node.keywords]
    return ast.copy_location(ast.Call(node.func, [named(each) for each in node.args], words), node)


def _holds_lists(keys: list[Tree], node: ast.AST) -> bool:
    """Whether an expression among the keys, or members of a set, cannot be a key because it holds a list.

    Raises Refused if a key is a list or a dict, or if too many keys have the same hash, as anyone can write them.
    """
    found = False
    hashes: Counter[int] = Counter()
    for key in keys:
        try:
            hashes[hash(key)] += 1
        except TypeError:
            if not isinstance(key, Expression):
                raise Refused(
                    "expression", "a list, a dict or a set cannot be a key or a member of a set: write a tuple", node
                ) from None
            found = True
    check.check_alike(max(hashes.values(), default=0), node)
    return found
