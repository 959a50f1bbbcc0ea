"""Read Python's syntax tree of one statement into nodes and tasks, by an allow-list.

Every call of a tool becomes a task of its own, wherever it stands; a comprehension with calls in its element becomes a
fan-out; `compiler_nb.plan.comprehension` says which. A call in a branch of `a if test else b` is guarded: its task is
performed only if the test chooses the branch.
Anything else is refused, with a hint how to write it instead.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Final, NoReturn, TypeGuard

from compiler_nb.plan import check, tables
from compiler_nb.plan.builder import free_name
from compiler_nb.plan.check import Refused
from compiler_nb.plan.comprehension import AnyComprehension, hoist, merge
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
    pattern_names,
)
from compiler_nb.plan.functions import FUNCTIONS, KEYWORDS, METHODS, check_spec
from compiler_nb.plan.task import Task, part_id
from compiler_nb.plan.tree import Expression, Ref, Tree, walk

_SIGNS: Final[dict[type, str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.UAdd: "+", ast.USub: "-", ast.Not: "not", ast.Invert: "~",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
HINT: Final = 500
"""Most characters of a plan's text that a hint repeats in other words."""
GUARDS: Final = 100_000
"""Most nodes of the guards of one plan's calls: each call has the tests of its branch written out."""
_COMPREHENSIONS: Final = {
    ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict", ast.GeneratorExp: "generator",
}  # fmt: skip

_INSTEAD: Final = {
    **{name: f"{name}(value) of a list or a column" for name in ("any", "all")},
    "tolist": "list(value)", "to_list": "list(value)", "format": "an f-string", "append": "value + [item]",
    "extend": "value + items", "sort": "sorted(value)",
}  # fmt: skip
"""What to write instead of a method that is not allowed."""
_PLACES: Final = frozenset({"iloc", "loc", "iat", "at"})
"""What reads a table's cells by place, and is no field before brackets."""
_NO_TOOL: Final = {
    "print": "end the plan with answer(value), which is shown",
    "input": "offer a variable of the notebook as an input, and write its name here",
    "map": "write [tool(x) for x in xs]", "filter": "write [x for x in xs if test]",
    "iter": "leave it out: a list can be read as it is",
}  # fmt: skip
"""What to write instead of a builtin that is not allowed, if no tool has its name."""
_SCORES: Final = "a key cannot call a tool: write scores = {x: tool(x) for x in xs} above, and key=lambda x: scores[x]"
_CONSTANTS: Final = {"true": "True", "false": "False", "null": "None", "none": "None", "undefined": "None"}


class Reader:
    """Reads the expressions of one statement.

    base: the name that ids of nested calls begin with; known: the names of tasks and inputs; resolve: what one of them
    stands for; is_tool: whether a name in call position is a tool; side_effects: whether that tool changes something
    outside.
    `parts` collects the tasks made of nested calls, in order of evaluation; `repeated` counts what their guards hold.
    """

    def __init__(
        self,
        base: str,
        known: Collection[str],
        resolve: Callable[[str], Tree],
        is_tool: Callable[[str], bool],
        side_effects: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.base, self.known, self.resolve = base, known, resolve
        self.is_tool, self.side_effects = is_tool, side_effects
        self.parts: list[Task] = []
        self.steps: list[Task] | None = None  # the calls of a fan-out's element, while one is read
        self.locals: frozenset[str] = frozenset()
        self.barred = ""  # why a call may not stand here
        self.guard: Tree = None  # what must be true for the calls that are read to be made
        self.guard_size = self.repeated = 0
        self.whole: ast.expr | None = None  # the line's whole value, the whole element of a fan-out, or a branch of it

    # ---------------------------------------------------------------- entrances

    def call(self, node: ast.Call) -> Task:
        """Read a call of a tool that is a task of its own; its id is the base."""
        name = self._tool_name(node)
        args, kwargs = self._arguments(node)
        return Task(self.base, "call", name, args, kwargs, line=node.lineno, column=node.col_offset)

    def own_task(self, node: ast.expr) -> Task | None:
        """Return the task of a line that is a single call of a tool or a single fan-out, otherwise None."""
        call = node.value if isinstance(node, ast.Await) else node
        return self.call(call) if self._is_tool_call(call) else self.fanout(node)

    def read(self, node: ast.expr) -> Tree:
        """Return the tree of an expression; calls in it go to `parts`."""
        rule = self._rules.get(type(node))
        if rule is None:
            if isinstance(node, ast.NamedExpr):
                raise Refused("expression", "an assignment stands on a line of its own: name = ...", node)
            raise Refused("expression", f"{_describe(node)} is not allowed in a plan: use a tool", node)
        return rule(self, node)

    # ---------------------------------------------------------------- leaves

    def _constant(self, node: ast.Constant) -> Tree:
        if isinstance(node.value, bytes | complex) or node.value is Ellipsis:
            raise Refused("expression", f"{_describe(node)} is not allowed in a plan: write text or a number", node)
        check.check_literal(node.value, node)
        return node.value

    def _name(self, node: ast.Name) -> Tree:
        name = node.id
        if name in self.locals:
            return Local(name)
        if name in self.known:
            return self.resolve(name)
        if name.startswith("_"):
            raise Refused(
                "dunder", f"{name!r} begins with an underscore: a plan reads only tasks and offered inputs", node
            )
        hint = check.suggest(name, [*self.locals, *self.known])
        if name.lower() in _CONSTANTS:
            hint = f" Did you mean {_CONSTANTS[name.lower()]}?"
        elif not hint and (self.is_tool(name) or name in FUNCTIONS):
            hint = f" To use what it computes, call it: {name}(...)"
        if name not in FUNCTIONS:
            hint += f' Text stands in quotes: "{name[: check.NAME_LIMIT]}"'
        raise Refused("missing_ref", f"no task above and no offered input is called {name!r}.{hint}", node)

    def _text(self, node: ast.JoinedStr) -> Tree:
        parts = tuple(self._piece(part) for part in node.values)
        return Text(parts) if any(type(part) is not str for part in parts) else "".join(parts)

    def _piece(self, part: ast.expr) -> Tree:
        if isinstance(part, ast.Constant):
            return self._constant(part)
        if not isinstance(part, ast.FormattedValue):
            raise Refused("fstring", "this f-string is not allowed in a plan: write only values in braces", part)
        value = self.read(part.value)
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
        if isinstance(node.value, ast.Attribute) and node.value.attr in _PLACES:
            raise Refused("attribute", _no_attribute(node.value), node.value)
        value = self.read(node.value)
        key = self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.read(node.slice)
        if isinstance(key, str) and key.startswith("_"):
            raise Refused("dunder", f"the key {key!r} begins with an underscore: items only, never attributes", node)
        return Item(value, key)

    def _slice(self, node: ast.Slice) -> Tree:
        return Slice(*(None if part is None else self.read(part) for part in (node.lower, node.upper, node.step)))

    # ---------------------------------------------------------------- operators

    def _unary(self, node: ast.UnaryOp) -> Tree:
        operand = self.read(node.operand)
        sign = self._sign(node.op, node)
        if type(operand) in (int, float) and sign in ("+", "-"):
            return -operand if sign == "-" else operand
        return Unary(sign, operand)

    def _binary(self, node: ast.BinOp) -> Tree:
        return Binary(self.read(node.left), self._sign(node.op, node), self.read(node.right))

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
        for part in node.values[1:]:
            call = next(filter(self._is_tool_call, ast.walk(part)), None)
            if call is not None and not self.barred:
                name, sign = self._tool_name(call), "and" if isinstance(node.op, ast.And) else "or"
                message = f"{name}(...) under `{sign}` is not made in every case: {self._guards(node)}"
                raise Refused("nested_call", message, call)
        return Logic("and" if isinstance(node.op, ast.And) else "or", tuple(map(self.read, node.values)))

    def _guards(self, node: ast.BoolOp) -> str:
        """Return how to write calls under `and` or `or` as guarded calls, which are made under the same conditions."""
        lines: list[str] = []
        found = node.values[0]
        for part in node.values[1:]:
            left: ast.expr = found
            if self._holds_call(found) and self._holds_call(part):
                if self.steps is None:  # the first value is read twice, so it needs a name
                    name = free_name("first", {*self.known, *lines})
                    lines += [name, f"{name} = {ast.unparse(found)}"]
                    found = left = ast.Name(name)
                else:
                    left = ast.Constant(None)
            if not self._holds_call(part):
                found = ast.BoolOp(node.op, [found, part])
            elif isinstance(node.op, ast.And):
                found = ast.IfExp(found, part, left)
            else:
                found = ast.IfExp(found, left, part)
        text = ast.unparse(found)
        text = text if node is self.whole else f"({text})"
        above = " and ".join(f"{line} above" for line in lines[1::2])
        hint = f"write {above}, and here {text}" if lines else f"write {text}"
        return hint if len(hint) <= HINT else "write name = tool(...) if test else None"

    def _holds_call(self, node: ast.expr) -> bool:
        return any(map(self._is_tool_call, ast.walk(node)))

    def _choice(self, node: ast.IfExp) -> Tree:
        is_whole = node is self.whole
        test = self.read(node.test)
        yes = self._branch(node.body, _true(test), is_whole=is_whole)
        no = self._branch(node.orelse, _false(test), is_whole=is_whole)
        return Choice(test, yes, no)

    def _branch(self, node: ast.expr, test: Expression, *, is_whole: bool) -> Tree:
        """Read a branch: its calls are made only if this test is true, and those of the branches around it."""
        if is_whole:
            self.whole = _called(node)
        outer = self.guard, self.guard_size
        self.guard = test if self.guard is None else Logic("and", (self.guard, test))
        self.guard_size += 0 if self.barred else _size(test)
        branch = self.read(node)
        self.guard, self.guard_size = outer
        return branch

    def _guarded(self, task: Task) -> Task:
        """Return a task of a nested call with the guard of the place where it stands."""
        self.repeated += self.guard_size
        if self.repeated > GUARDS:
            raise Refused(
                "too_large",
                f"the tests of guarded calls, written out for each call, hold more than {GUARDS:,} parts: give a long "
                "test a line of its own, ok = ..., and guard the calls by its name",
                ast.Pass(lineno=task.line, col_offset=task.column),
            )
        return replace(task, guard=self.guard)

    def _barred(self, why: str, node: ast.expr) -> Tree:
        outer, self.barred = self.barred, self.barred or why
        try:
            return self.read(node)
        finally:
            self.barred = outer

    def _await(self, node: ast.Await) -> Tree:
        if not isinstance(node.value, ast.Call):
            raise Refused("expression", "await is only allowed before a call: leave it out", node)
        return self.read(node.value)

    # ---------------------------------------------------------------- calls

    def _call(self, node: ast.Call) -> Tree:
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name and not self.is_tool(name) and name in FUNCTIONS:
            return self._apply(name, node)
        if self.barred:
            self._tool_name(node)
            raise Refused("nested_call", f"{name}(...): {self.barred}", node)
        effects = self.side_effects(name)
        if effects and node is not self.whole:
            raise Refused("nested_call", f"{name} has side effects: give it a line of its own", node)
        before = len(self.steps or ())
        task = self.call(node)
        if self.steps is None:
            return self.part(task)
        if effects and len(self.steps) > before:
            raise Refused("nested_call", _only_effect(name), node)
        self.steps.append(replace(self._guarded(task), id=part_id("", len(self.steps) + 1)))
        return Local(self.steps[-1].id)

    def part(self, task: Task) -> Ref:
        """Take a task of a nested call, or of an expression in the last line; return the reference to it."""
        self.parts.append(replace(self._guarded(task), id=part_id(self.base, len(self.parts) + 1)))
        return Ref(self.parts[-1].id)

    def _tool_name(self, node: ast.Call) -> str:
        match node.func:
            case ast.Name(id="join" | "answer" as name):
                raise Refused("join", f"{name}(...) is only allowed alone, on the last line: write it there", node)
            case ast.Name(id=name) if name.startswith("_"):
                raise Refused("unknown_tool", f"no tool is called {name!r}: call one that is offered", node)
            case ast.Name(id=name) if name in _NO_TOOL and not self.is_tool(name):
                raise Refused("unknown_tool", f"{name}(...) is not allowed in a plan: {_NO_TOOL[name]}", node)
            case ast.Name(id=name):
                return name
            case ast.Attribute() as method:
                raise Refused("attribute", _no_method(method), method)
            case _:
                raise Refused("expression", "only a tool can be called, by its name: name = tool(...)", node)

    def _arguments(self, node: ast.Call) -> tuple[tuple[Tree, ...], dict[str, Tree]]:
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
        if name in ("any", "all", "next"):
            self._check_lazy(name, node)
        unknown = {word.arg or "" for word in node.keywords} - KEYWORDS.get(name, frozenset())
        if unknown and name != "dict":
            raise Refused("bad_args", f"{name}() takes no {min(unknown)}= in a plan: leave it out", node)
        # `key=` takes a function, which is not an expression anywhere else; to `dict` it is a name like any other.
        keys = [word for word in node.keywords if word.arg == "key" and name != "dict"]
        rest = ast.Call(node.func, node.args, [word for word in node.keywords if word not in keys])
        args, kwargs = self._arguments(ast.copy_location(rest, node))
        return Apply(name, args, (*kwargs.items(), *(("key", self._key(word.value)) for word in keys)))

    def _check_lazy(self, name: str, node: ast.Call) -> None:
        """Refuse calls of tools that Python would make only up to the item that decides."""
        rows = node.args[0] if node.args else None
        if name == "next" and not isinstance(rows, ast.GeneratorExp):
            raise Refused(
                "expression",
                "next takes a generator, next((x for x in xs if test), None); of a list, write xs[0]",
                node,
            )
        if not isinstance(rows, ast.GeneratorExp):
            return
        if name == "next" and self._holds_call(rows.elt):
            raise Refused(
                "nested_call",
                "next makes one call at most: choose first, one = next(x for x in xs if test), then call tool(one)",
                node,
            )
        inner = (each for part in (rows.elt, *rows.generators) for each in ast.walk(part))
        if any(self._is_tool_call(each) and self.side_effects(self._tool_name(each)) for each in inner):
            raise Refused(
                "nested_call", f"{name} would stop at the item that decides: make all calls in a list above it", node
            )

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
                raise Refused("nested_call", _SCORES, node)
            case _:
                raise Refused("expression", "key= takes a lambda, a function such as len, or a dict's .get", node)

    def _read_lambda(self, node: ast.Lambda) -> Tree:
        spec = node.args
        if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.defaults or spec.posonlyargs:
            raise Refused("expression", "a lambda in a plan takes plain names only, as in lambda x: x[1]", node)
        names = tuple(arg.arg for arg in spec.args)
        self._check_names(names, node)
        outer, self.locals = self.locals, self.locals.union(names)
        body = self._barred(_SCORES, node.body)
        self.locals = outer
        return Lambda(names, body)

    def _method(self, node: ast.Call, func: ast.Attribute) -> Tree:
        idiom = tables.METHODS.get(func.attr)
        if func.attr not in METHODS and idiom is None:
            raise Refused("attribute", _no_method(func), func)
        unknown = {word.arg or "" for word in node.keywords} - (idiom.keywords if idiom else frozenset())
        if unknown:
            raise Refused("bad_args", f".{func.attr}() takes no {min(unknown)}= in a plan: use a tool", node)
        value = self.read(func.value)
        args, kwargs = self._arguments(node)
        return Method(value, func.attr, args, tuple(kwargs.items()))

    def _attribute(self, node: ast.Attribute) -> Tree:
        name = node.attr
        if name.startswith(("_", "to_")) and name != "to_dict":
            raise Refused("attribute", _no_attribute(node), node)
        return Attribute(self.read(node.value), name)

    def _lambda(self, node: ast.Lambda) -> NoReturn:
        raise Refused("expression", "a lambda can only be a key=, as in max(xs, key=lambda x: x[1])", node)

    # ---------------------------------------------------------------- comprehensions

    def _comprehension(self, node: AnyComprehension) -> Tree:
        fanout = self.fanout(node)
        if fanout is not None:
            if self.barred:
                raise Refused("nested_call", self.barred, node)
            return self.part(fanout)
        if isinstance(node, ast.SetComp) and self._holds_call(node.elt):
            return Apply("set", (self.read(ast.copy_location(ast.ListComp(node.elt, node.generators), node)),))
        outer = self.locals
        node = hoist(node, self._holds_call, self.locals)
        clauses = tuple(map(self._clause, node.generators))
        key = self.read(node.key) if isinstance(node, ast.DictComp) else None
        element = self.read(node.value if isinstance(node, ast.DictComp) else node.elt)
        self.locals = outer
        return Comprehension(_COMPREHENSIONS[type(node)], element, clauses, key)  # type: ignore[arg-type]

    def _clause(self, generator: ast.comprehension) -> Clause:
        """Read a `for` with its conditions; its names stay in sight for what follows."""
        if generator.is_async:
            raise Refused("expression", "leave out async: calls run side by side anyway", generator.iter)
        source = self.read(generator.iter)
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

    def fanout(self, node: ast.expr) -> Task | None:
        """Return the fan-out of a comprehension, with the base as its id; None if its element calls no tool."""
        if not isinstance(node, ast.ListComp | ast.DictComp | ast.GeneratorExp):
            return None
        value = node.value if isinstance(node, ast.DictComp) else node.elt
        if not self._holds_call(value):
            return None
        if self.steps is not None:
            raise Refused(
                "nested_call",
                "a fan-out cannot stand within another: write one list of all calls on a line above, "
                "[tool(y) for x in xs for y in x]",
                node,
            )
        outer = self.locals
        node = hoist(node, self._holds_call, self.locals)
        clause = self._clause(merge(node.generators))
        key = self.read(node.key) if isinstance(node, ast.DictComp) else None
        guard, size, self.guard, self.guard_size = self.guard, self.guard_size, None, 0  # the fan-out's own, as a whole
        element = self._element(value)
        self.guard, self.guard_size = guard, size
        steps: list[Task] = list(self.steps or ())  # type: ignore[redundant-expr]  # the element filled it
        self.steps, self.locals = None, outer
        tree = Fanout(
            "dict" if isinstance(node, ast.DictComp) else "list",
            clause.target,
            clause.source,
            clause.conditions,
            key,
            tuple(steps),
            element,
        )
        return Task(self.base, "fanout", "", (tree,), line=node.lineno, column=node.col_offset)

    def _element(self, node: ast.expr) -> Tree:
        """Read a fan-out's element: its calls become steps. A call that is the whole element has no suffix."""
        self.steps = []
        self.whole = inner = _called(node)
        if self._is_tool_call(inner):
            task = replace(self.call(inner), id="")
            if self.side_effects(task.tool) and self.steps:
                raise Refused("nested_call", _only_effect(task.tool), node)
            self.steps.append(task)
            return Local("")
        return self.read(node)

    def _is_tool_call(self, node: ast.AST) -> TypeGuard[ast.Call]:
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        return name != "" and (self.is_tool(name) or name not in FUNCTIONS)

    _rules: ClassVar[dict[type, Callable[[Reader, Any], Tree]]] = {
        ast.Constant: _constant,
        ast.Name: _name,
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


def _called(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Await) else node


def _true(test: Tree) -> Expression:
    """Return a guard that is true if the test is."""
    return test if isinstance(test, Expression) else Apply("bool", (test,))


def _false(test: Tree) -> Expression:
    """Return a guard that is true if the test is false."""
    return _true(test.operand) if isinstance(test, Unary) and test.operator == "not" else Unary("not", test)


def _size(tree: Tree) -> int:
    """Return how many nodes and values a tree holds; a long text counts for several."""
    count, stack = 0, [tree]
    while stack:
        part = stack.pop()
        kind = type(part)
        count += 1 + (len(part) // 16 if kind is str else 0)
        if kind is dict:
            stack += (*part.keys(), *part.values())
        elif kind in (list, tuple, set):
            stack += part
        elif isinstance(part, Expression):
            stack += [getattr(part, name) for name in part.__match_args__]
    return count


def _only_effect(name: str) -> str:
    return f"{name} has side effects: it must be the only call of its fan-out, apart from those in its test"


def _holds_lists(keys: list[Tree], node: ast.AST) -> bool:
    """Whether an expression among the keys, or members of a set, cannot be a key itself, for it holds a list.

    Raises Refused if a key is a list or a dict.
    """
    found = False
    for key in keys:
        try:
            hash(key)
        except TypeError:
            if not isinstance(key, Expression):
                raise Refused(
                    "expression", "a list or a dict cannot be a key or a member of a set: write a tuple", node
                ) from None
            found = True
    return found


def _describe(node: ast.AST) -> str:
    names = {
        ast.Starred: "a star", ast.Yield: "yield",
        ast.YieldFrom: "yield", ast.Slice: "a slice", ast.FormattedValue: "a format",
    }  # fmt: skip
    if isinstance(node, ast.Constant):
        return "..." if node.value is Ellipsis else f"a {type(node.value).__name__} literal"
    return names.get(type(node), type(node).__name__)


def _no_method(node: ast.Attribute) -> str:
    shown = node.attr[: check.NAME_LIMIT]
    instead = _INSTEAD.get(shown)
    lists = f"; of text, dicts and lists only {', '.join(METHODS)}; of tables only {', '.join(tables.METHODS)}"
    hint = f", or write {instead}" if instead else lists
    return f"methods of results cannot be called here (.{shown}): use a tool{hint}"


def _no_attribute(node: ast.Attribute) -> str:
    shown = node.attr[: check.NAME_LIMIT]
    if shown.startswith("_"):
        return f"the attribute .{shown} cannot be read: use a tool"
    if shown in _PLACES:
        return f"rows and cells cannot be read by .{shown} in a plan: use a tool, or read a column, value[name][row]"
    return f'attributes cannot be read in a plan (.{shown}): a column or a key is value["{shown}"]'
