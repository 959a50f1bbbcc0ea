"""The body of a script: a coroutine for each task, which waits for the values that it reads.

Theory of operation
    A task's coroutine first waits for what its guard reads, then for what its arguments read, then for its turn, and
    makes its call. `needs` (plan/fanout.py) says what is waited for, as it does for the engine: of a fan-out perhaps
    one item only. The items of a fan-out are coroutines of their own; a name that stands for an item of another fan-out
    is waited for within them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from compiler_nb.errors import ToolError
from compiler_nb.plan.builder import free_name
from compiler_nb.plan.effects import in_order, nature
from compiler_nb.plan.expression import Fanout, Item, Local, pattern_names, spell_pattern
from compiler_nb.plan.fanout import later_names, needs
from compiler_nb.plan.task import Join, LastLine, Return, Task, inputs_of, is_part, line_of, variable
from compiler_nb.plan.tree import Expression, Ref, Tree, references, walk
from compiler_nb.plan.tree import replace as replace_nodes
from compiler_nb.script.kinds import UNKNOWN, ValueKind, bound, of_hint
from compiler_nb.script.spelling import ScriptSpeller, python_name, reads_tables, renamed
from compiler_nb.signature.arguments import Parameter
from compiler_nb.text import literal
from compiler_nb.tool import Tool

INDENT: Final = "    "


class BodyWriter:
    """Writes the tasks of a plan as the body of `main`.

    tools: by name, as far as they are known; drop_failed: the share of a fan-out's items that may fail.
    """

    def __init__(
        self, tasks: Sequence[Task], final: LastLine, tools: Mapping[str, Tool], drop_failed: float = 0.0
    ) -> None:
        self.tools, self.drop_failed = tools, drop_failed
        self.tasks = in_order(tasks, tools)
        self.final = final
        self.ids = {task.id: task for task in self.tasks}
        self.inputs = inputs_of(tasks, final)
        self.fanouts = {task.id: task.args[0].container for task in self.tasks if task.kind == "fanout"}
        self.names: dict[str, str] = {}
        taken = {python_name(name) for name in self.inputs}
        for id_ in self.ids:
            plain = "".join(each if each.isalnum() or each == "_" else "_" for each in variable(id_)).strip("_")
            self.names[id_] = free_name(python_name(plain if plain.isidentifier() else f"line_{plain}"), taken)
            taken.add(self.names[id_])
        self.kinds: dict[str, ValueKind] = {}

    def write(self) -> str:
        """Return the body of `main`, without its first line."""
        parts = [self.task(task) for task in self.tasks]
        return "\n".join([*parts, self.last()])

    # ---------------------------------------------------------------- what is waited for

    def container(self, id_: str) -> str:
        """Return "list" or "dict" for a fan-out, "" for any other task."""
        return str(self.fanouts.get(id_, ""))

    def kind(self, id_: str) -> ValueKind:
        """Return what is known of a task's value."""
        return self.kinds.get(id_, UNKNOWN)

    def speller(self, names: Mapping[str, ValueKind] | None = None) -> ScriptSpeller:
        """Return what writes the expressions of one task."""
        return ScriptSpeller(self.names.__getitem__, self.kind, names)

    def waits(
        self,
        trees: Tree,
        speller: ScriptSpeller,
        *,
        after: Sequence[str] = (),
        by_key: Sequence[str] = (),
        keys: Sequence[str] = (),
        lenient: bool = False,
    ) -> tuple[Tree, list[str]]:
        """Return trees, with names for single items of fan-outs, and the lines that wait for all that they read.

        by_key: fan-outs of which single items are read; keys: names that stand for known keys; lenient: whether what
        is read may be in a branch that is not needed, as it always is beside the value of a guarded call.
        """
        items: dict[str, str] = {}

        def change(part: Expression) -> Tree:
            if not (isinstance(part, Item) and isinstance(part.value, Ref) and part.value.id in by_key):
                return part
            if not all(_is_known(each, keys) for each in (part.key if type(part.key) is tuple else (part.key,))):
                return part
            shown = f"_item({quoted(part.value.id)}, {speller.key(part.key)})"
            name = items.setdefault(shown, f"_{self.names[part.value.id]}_item{len(items) or ''}")
            speller.locals[name] = self.kind(part.value.id).items
            return Local(name)

        new = replace_nodes(trees, change) if by_key else trees
        ids = list(dict.fromkeys([*references(new), *after]))
        sure = [id_ for id_ in ids if self.ids[id_].guard is not None]
        lenient = lenient or bool(sure)
        sure = sure if lenient else ids
        lines = []
        if len(sure) == 1:
            lines.append(f"{self.names[sure[0]]} = await _value({quoted(sure[0])})")
        elif sure:
            names = ", ".join(map(self.names.__getitem__, sure))
            lines.append(f"{names} = await _values({', '.join(map(quoted, sure))})")
        single = {name: shown for shown, name in items.items()}
        single |= {self.names[id_]: f"_value({quoted(id_)})" for id_ in ids if id_ not in sure}
        return new, [*lines, *(self.wait(name, shown, speller, lenient=lenient) for name, shown in single.items())]

    @staticmethod
    def wait(name: str, shown: str, speller: ScriptSpeller, *, lenient: bool) -> str:
        """Return the line that waits for one value; lenient: whether its error counts only if it is needed."""
        if not lenient:
            return f"{name} = await {shown}"
        speller.unsure.add(name)
        return f"{name} = await _ended({shown})"

    # ---------------------------------------------------------------- one task

    def task(self, task: Task) -> str:
        """Return a task as a decorated coroutine, below its note."""
        head = f"# {task.note}\n" if task.note else ""
        kind = nature(task, self.tools)
        options = [quoted(task.id)]
        if task.kind == "fanout":
            options.append(task.args[0].container)
        if task.follows:
            options.append(f"({', '.join(quoted(name) for name in task.follows if name in self.ids)},)")
        if kind == "effect":
            options.append("effect=True")
        if task.kind == "fanout" and self.drop_failed:
            options.append(f"drop_failed={self.drop_failed!r}")
        lines = self.fanout(task) if task.kind == "fanout" else self.plain(task, kind)
        self.kinds[task.id] = self.kind_of(task)
        name = "_fanout" if task.kind == "fanout" else "_task"
        body = "\n".join(lines)
        text = f"{head}@{name}({', '.join(options)})\nasync def _():\n{textwrap.indent(body, INDENT)}\n"
        return textwrap.indent(text, INDENT)

    def kind_of(self, task: Task) -> ValueKind:
        """Return what is known of the value of a task."""
        if task.kind == "call":
            tool = self.tools.get(task.tool)
            return UNKNOWN if tool is None or tool.returns is None else of_hint(tool.returns)
        if task.kind == "expr":
            return self.speller().kind(task.args[0])
        node: Fanout = task.args[0]
        names = bound(node.target, self.speller().kind(node.source).items)
        names |= {step.id: self.kind_of(step) for step in node.steps if step.kind == "call"}
        return ValueKind("plain", self.speller(names).kind(node.element))

    def plain(self, task: Task, kind: str) -> list[str]:
        """Return the body of a call or an expression."""
        lines, speller = self.guarded(task.guard, self.speller()) if task.guard is not None else [], self.speller()
        one = Task(task.id, task.kind, task.tool, task.args, task.kwargs, task.after)
        by_key = needs(one, self.container)[1]
        (args, kwargs), waits = self.waits((task.args, task.kwargs), speller, after=task.after, by_key=by_key)
        lines += waits
        if task.follows:
            lines.append(_turn_of(task.id, kind))
        if task.kind == "expr":
            return [*lines, *_returned(args[0], speller)]
        return [*lines, f"return {self.call(Task(task.id, 'call', task.tool, args, kwargs), speller)}"]

    def guarded(
        self, guard: Tree, speller: ScriptSpeller, *, keys: Sequence[str] = (), lenient: bool = False,
        leave: str = "return _NOT_NEEDED",
    ) -> list[str]:  # fmt: skip
        """Return the lines that end a coroutine if it is not needed."""
        by_key = needs(Task("", "expr", "", (guard,)), self.container)[1]
        guard, lines = self.waits(guard, speller, by_key=by_key, keys=keys, lenient=lenient)
        return [*lines, f"if not ({speller.spell(guard)}):", f"{INDENT}{leave}"]

    def call(self, task: Task, speller: ScriptSpeller) -> str:
        """Return a call of a tool."""
        args, kwargs = task.args, task.kwargs
        tool = self.tools.get(task.tool)
        rest = (
            "" if tool is None else next((p.name for p in parameters_of(tool) if p.kind is p.kind.VAR_POSITIONAL), "")
        )
        if rest in kwargs and isinstance(kwargs[rest], list) and tool is not None:  # json gives them as a list
            named = [name for name in tool.positional[len(args) :] if name in kwargs]
            args = (*args, *(kwargs[name] for name in named), *kwargs[rest])
            kwargs = {name: value for name, value in kwargs.items() if name != rest and name not in named}
        shown = speller.arguments(args, kwargs)
        return f"await _call({quoted(task.tool)}{', ' * bool(shown)}{shown})"

    # ---------------------------------------------------------------- fan-outs

    def fanout(self, task: Task) -> list[str]:
        """Return the body of a fan-out: it waits for its source, and yields a coroutine for each item."""
        node: Fanout = task.args[0]
        whole, shapes = needs(Task(task.id, "fanout", "", task.args, after=task.after), self.container)
        later, outer = later_names(task, self.container), self.speller()
        lines = self.guarded(task.guard, self.speller(), leave="raise _Unneeded") if task.guard is not None else []
        lines += self.waits([Ref(id_) for id_ in whole], outer)[1]
        known = set(references(node.source)).intersection(shapes)
        lines += [f"{self.names[id_]} = await _items_of({quoted(id_)})" for id_ in shapes if id_ in known]
        names = bound(node.target, outer.kind(node.source).items)
        inner = self.speller(names)
        inner.unsure = outer.unsure
        plain = list(dict.fromkeys(pattern_names(node.target)))
        given = [f"_{python_name(name)}_later" if name in later else python_name(name) for name in plain]
        work = f"_one({', '.join(map(python_name, plain))})"
        tests = [f"{INDENT}if not ({inner.spell(test)}):\n{INDENT * 2}continue" for test in node.conditions]
        item = ItemWriter(self, task, names, later, shapes).write()
        return [
            f"async def _one({', '.join(given)}):",
            textwrap.indent("\n".join(item), INDENT) + "\n",
            *lines,
            f"for {spell_pattern(renamed(node.target))} in {outer.gone_through(node.source, 1)}:",
            *tests,
            f"{INDENT}yield {inner.spell(node.key)}, {work}" if node.container == "dict" else f"{INDENT}yield {work}",
        ]

    # ---------------------------------------------------------------- the end

    def last(self) -> str:
        """Return the lines that give the answer."""
        final = self.final
        if isinstance(final, Return):
            by_key, speller = needs(Task("", "expr", "", (final.expression,)), self.container)[1], self.speller()
            tree, lines = self.waits(final.expression, speller, by_key=by_key)
            lines += _returned(tree, speller)
        else:
            lines = self.joined(final)
        body = textwrap.indent("\n".join(lines), INDENT)
        return textwrap.indent(f"async def _last():\n{body}\n\nreturn await _answer(_last())\n", INDENT)

    def joined(self, final: Join) -> list[str]:
        """Return the lines that give the results that a joiner would be given."""
        last = {task.name or task.id: task.id for task in self.tasks}
        shown = {self.ids[id_].name or id_: id_ for id_ in final.refs} if final.refs else last
        lines = {id_: line_of(id_) for id_ in shown.values() if is_part(id_) and self.ids[id_].guard is not None}
        wanted = f", ({', '.join(map(quoted, final.refs))},)" if final.refs else ""
        told = f"{', lines=' + repr(lines) if lines and not final.refs else ''}"
        note = ["# a joiner would answer the question from these results"]
        if final.instruction:
            note.append(f"# it was told: {' '.join(final.instruction.split())}")
        return [*note, f"return await _results({shown!r}{wanted}{told})"]


def _is_known(key: Tree, names: Sequence[str]) -> bool:
    """Whether a key is known when the items are: a literal, or what a fan-out goes over."""
    return not isinstance(key, Expression) or (isinstance(key, Local) and key.name in names)


class ItemWriter:
    """Writes the body of one item of a fan-out: its calls, each of which begins when it can, and its value.

    names: what is known of the names that the fan-out binds; later: those that stand for items of other fan-outs;
    shapes: the fan-outs of which single items are read.
    """

    def __init__(
        self, body: BodyWriter, task: Task, names: Mapping[str, ValueKind], later: set[str], shapes: Sequence[str]
    ) -> None:
        self.body, self.task, self.later, self.shapes = body, task, later, shapes
        self.node: Fanout = task.args[0]
        self.keys = [name for name in pattern_names(self.node.target) if name not in later]
        self.steps = {step.id: f"_step{step.id.replace('.', '_')}" for step in self.node.steps}
        self.guards = {step.id for step in self.node.steps if step.guard is not None}
        self.kinds = {**names, **{step.id: body.kind_of(step) for step in self.node.steps if step.kind == "call"}}

    def write(self) -> list[str]:
        """Return its lines."""
        lines: list[str] = []
        for step in self.node.steps:
            body = self.step(step)
            if len(self.steps) == 1 and self.node.element == Local(step.id):
                return body
            name = self.steps[step.id]
            lines += [f"async def {name}():", textwrap.indent("\n".join(body), INDENT) + "\n"]
            lines.append(f"{name}_started = _start({name}())")
        speller = self.speller()
        tree, waits = self.waits(self.node.element, speller)
        return [*lines, *waits, *_returned(tree, speller)]

    def speller(self) -> ScriptSpeller:
        """Return what writes the expressions of one call, or of the value."""
        speller = self.body.speller(self.kinds)
        speller.steps_named = {id_: f"{name}_value" for id_, name in self.steps.items()}
        return speller

    def step(self, step: Task) -> list[str]:
        """Return the body of a call."""
        lines: list[str] = []
        if step.guard is not None:
            speller = self.speller()
            lines, lenient = self.locals_of(step.guard, speller)
            lines += self.body.guarded(step.guard, speller, keys=self.keys, lenient=lenient)
        speller = self.speller()
        (args, kwargs), waits = self.waits((step.args, step.kwargs), speller)
        lines += waits
        kind = nature(step, self.body.tools)
        if self.task.follows and kind != "pure":
            lines.append(_turn_of(self.task.id, kind))
        return [*lines, f"return {self.body.call(Task('', 'call', step.tool, args, kwargs), speller)}"]

    def waits(self, trees: Tree, speller: ScriptSpeller) -> tuple[Tree, list[str]]:
        """Return trees, and the lines that wait for what they read within the item and outside of it."""
        lines, lenient = self.locals_of(trees, speller)
        trees, more = self.body.waits(trees, speller, by_key=self.shapes, keys=self.keys, lenient=lenient)
        return trees, [*lines, *more]

    def locals_of(self, trees: Tree, speller: ScriptSpeller) -> tuple[list[str], bool]:
        """Return the lines that wait for values within the item, and whether one is of a guarded call."""
        read = dict.fromkeys(part.name for part in walk(trees) if isinstance(part, Local))
        lenient, lines = not self.guards.isdisjoint(read), []
        for name in read:
            if name in self.steps:
                shown, is_guarded = f"{self.steps[name]}_started", name in self.guards
                lines.append(
                    self.body.wait(f"{self.steps[name]}_value", shown, speller, lenient=lenient and not is_guarded)
                )
            elif name in self.later:
                own = python_name(name)
                lines.append(self.body.wait(own, f"_later(_{own}_later)", speller, lenient=lenient))
        return lines, lenient


def parameters_of(tool: Tool) -> Sequence[Parameter]:
    """Return the parameters of a tool, none if its signature cannot be read."""
    try:
        return tool.parameters
    except ToolError:
        return ()


def quoted(text: str) -> str:
    """Return a text as a literal in double quotes, if it can be."""
    return literal(text)


def _turn_of(id_: str, kind: str) -> str:
    return f"await _turn({quoted(id_)}{', effect=True' * (kind == 'effect')})"


def _returned(tree: Tree, speller: ScriptSpeller) -> list[str]:
    """Return the lines that return the value of an expression; one of tables is evaluated on a thread."""
    shown = speller.spell(tree)
    if not reads_tables(tree):
        return [f"return {shown}"]
    return ['async with _SLOTS["calls"]:', f"{INDENT}return await _on_thread(lambda: {shown}, (), {{}})"]
