"""Read a line's value: every call of a tool in it becomes a task of its own, wherever it stands.

A comprehension with calls in its element becomes a fan-out; `compiler_nb.plan.comprehension` says which. A call in a
branch of `a if test else b` is guarded: its task is performed only if the test chooses the branch.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, ClassVar, Final, TypeGuard

from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.plan.check import Refused
from compiler_nb.plan.comprehension import AnyComprehension, hoist, merge
from compiler_nb.plan.expression import Apply, Choice, Fanout, Local, Logic, Unary, spell
from compiler_nb.plan.reading import Reader
from compiler_nb.plan.refusals import BUILTINS, SCORES, as_guards, only_effect
from compiler_nb.plan.task import Task, part_id
from compiler_nb.plan.tree import Expression, Ref, Tree

GUARDS: Final = 500_000
"""Most characters of the guards of one plan's calls: each call has the tests of its branch written out."""


class LineReader(Reader):
    """Reads one line of a plan.

    base: the name that ids of nested calls begin with; known, resolve, is_tool: as of Reader; side_effects: whether a
    tool changes something outside.
    `parts` collects the tasks made of nested calls, in order of evaluation; `repeated` counts characters of guards.
    """

    def __init__(
        self,
        base: str,
        known: Collection[str],
        resolve: Callable[[str], Tree],
        is_tool: Callable[[str], bool],
        side_effects: Callable[[str], bool] = lambda name: False,
    ) -> None:
        super().__init__(known, resolve, is_tool)
        self.base, self.side_effects = base, side_effects
        self.parts: list[Task] = []
        self.steps: list[Task] | None = None  # the calls of a fan-out's element, while one is read
        self.guard: Tree = None  # what must be true for the calls that are read to be made
        self.guard_size = self.repeated = 0
        self.whole: ast.expr | None = None  # the line's whole value, the whole element of a fan-out, or a branch of it

    # ---------------------------------------------------------------- calls

    def call(self, node: ast.Call) -> Task:
        """Read a call of a tool that is a task of its own; its id is the base."""
        name = self._tool_name(node)
        args, kwargs = self.arguments(node)
        return Task(self.base, "call", name, args, kwargs, line=node.lineno, column=node.col_offset)

    def own_task(self, node: ast.expr) -> Task | None:
        """Return the task of a line that is a single call of a tool or a single fan-out, otherwise None."""
        call = _called(node)
        return self.call(call) if self._is_tool_call(call) else self.fanout(node)

    def _call(self, node: ast.Call) -> Tree:
        if not self._is_tool_call(node):
            return super()._call(node)
        name = self._tool_name(node)
        effects = self.side_effects(name)
        if effects and node is not self.whole:
            raise Refused("nested_call", f"{name} has side effects: give it a line of its own", node)
        before = len(self.steps or ())  # calls of tests were read before this one, and may stand beside a side effect
        task = self.call(node)
        if self.steps is None:
            return self.part(task)
        if effects and len(self.steps) > before:
            raise Refused("nested_call", only_effect(name), node)
        self.steps.append(replace(self._guarded(task), id=part_id("", len(self.steps) + 1)))
        return Local(self.steps[-1].id)

    def part(self, task: Task) -> Ref:
        """Take a task of a nested call, or of an expression in the last line; return the reference to it."""
        self.parts.append(replace(self._guarded(task), id=part_id(self.base, len(self.parts) + 1)))
        return Ref(self.parts[-1].id)

    def _is_tool_call(self, node: ast.AST) -> TypeGuard[ast.Call]:
        name = _name_called(node)
        return name != "" and (self.is_tool(name) or name not in FUNCTIONS)

    def _first_call(self, *nodes: ast.AST) -> ast.Call | None:
        """Return the first call of a tool in these parts, or None."""
        return next((each for node in nodes for each in ast.walk(node) if self._is_tool_call(each)), None)

    def _holds_call(self, node: ast.expr) -> bool:
        return self._first_call(node) is not None

    def _tool_name(self, node: ast.Call) -> str:
        name = _name_called(node)
        if name in ("join", "answer"):
            raise Refused("join", f"{name}(...) is only allowed alone, on the last line: write it there", node)
        if name.startswith("_"):
            raise Refused("unknown_tool", f"no tool is called {name!r}: call one that is offered", node)
        if name in BUILTINS and not self.is_tool(name):
            raise Refused("unknown_tool", f"{name}(...) is not allowed in a plan: {BUILTINS[name]}", node)
        return name

    # ---------------------------------------------------------------- what decides whether a call is made

    def _logic(self, node: ast.BoolOp) -> Tree:
        call = self._first_call(*node.values[1:])
        if call is not None:
            sign = "and" if isinstance(node.op, ast.And) else "or"
            known = self.known if self.steps is None else None
            instead = as_guards(node, self._holds_call, known, is_whole=node is self.whole)
            message = f"{self._tool_name(call)}(...) under `{sign}` is not made in every case: {instead}"
            raise Refused("nested_call", message, call)
        return super()._logic(node)

    def _choice(self, node: ast.IfExp) -> Tree:
        is_whole = node is self.whole
        test = self.operand(node.test)
        yes = self._branch(node.body, _true(test), is_whole=is_whole)
        no = self._branch(node.orelse, _false(test), is_whole=is_whole)
        return Choice(test, yes, no)

    def _branch(self, node: ast.expr, test: Expression, *, is_whole: bool) -> Tree:
        """Read a branch: its calls are made only if this test is true, and those of the branches around it."""
        if is_whole:
            self.whole = _called(node)
        outer = self.guard, self.guard_size
        # A call holds the tests of all branches around it, so that it can be decided by itself.
        self.guard = test if self.guard is None else Logic("and", (self.guard, test))
        self.guard_size += len(spell(test))
        branch = self.read(node)
        self.guard, self.guard_size = outer
        return branch

    def _guarded(self, task: Task) -> Task:
        """Return a task of a nested call with the guard of the place where it stands."""
        self.repeated += self.guard_size
        if self.repeated > GUARDS:
            raise Refused(
                "too_large",
                f"the tests of guarded calls, written out for each call, have more than {GUARDS:,} characters: give a "
                "long test a line of its own, ok = ..., and guard the calls by its name",
                ast.Pass(lineno=task.line, col_offset=task.column),
            )
        return replace(task, guard=self.guard)

    def _apply(self, name: str, node: ast.Call) -> Tree:
        rows = node.args[0] if node.args else None
        if name in ("any", "all", "next") and isinstance(rows, ast.GeneratorExp):
            self._check_lazy(name, rows, node)
        return super()._apply(name, node)

    def _check_lazy(self, name: str, rows: ast.GeneratorExp, node: ast.Call) -> None:
        """Refuse calls of tools that Python would make only up to the item that decides."""
        if name == "next" and self._holds_call(rows.elt):
            raise Refused(
                "nested_call",
                "next makes one call at most: choose first, one = next(x for x in xs if test), then call tool(one)",
                node,
            )
        if any(self.side_effects(_name_called(each)) for each in ast.walk(rows)):
            raise Refused(
                "nested_call", f"{name} would stop at the item that decides: make all calls in a list above it", node
            )

    def _read_lambda(self, node: ast.Lambda) -> Tree:
        call = self._first_call(node.body)
        if call is not None:
            raise Refused("nested_call", f"{self._tool_name(call)}(...): {SCORES}", call)
        return super()._read_lambda(node)

    # ---------------------------------------------------------------- fan-outs

    def _comprehension(self, node: AnyComprehension) -> Tree:
        fanout = self.fanout(node)
        if fanout is not None:
            return self.part(fanout)
        if isinstance(node, ast.SetComp) and self._holds_call(node.elt):
            return Apply("set", (self.read(ast.copy_location(ast.ListComp(node.elt, node.generators), node)),))
        return super()._comprehension(hoist(node, self._holds_call, self.locals))

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
        clause = self.clause(merge(node.generators))
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
        self.steps = []  # from here on calls are steps of each item, and no parts of the line
        self.whole = inner = _called(node)
        if self._is_tool_call(inner):
            task = replace(self.call(inner), id="")
            if self.side_effects(task.tool) and self.steps:
                raise Refused("nested_call", only_effect(task.tool), node)
            self.steps.append(task)
            return Local("")
        return self.read(node)

    rules: ClassVar[dict[type, Callable[[Any, Any], Tree]]] = {
        **Reader.rules,
        ast.BoolOp: _logic,
        ast.IfExp: _choice,
        ast.Call: _call,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.DictComp: _comprehension,
        ast.GeneratorExp: _comprehension,
    }


def _name_called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _called(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Await) else node


def _true(test: Tree) -> Expression:
    """Return a guard that is true if the test is."""
    return test if isinstance(test, Expression) else Apply("bool", (test,))


def _false(test: Tree) -> Expression:
    """Return a guard that is true if the test is false."""
    return _true(test.operand) if isinstance(test, Unary) and test.operator == "not" else Unary("not", test)
