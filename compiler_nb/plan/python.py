"""The python dialect: straight-line programs of calls and pure expressions, read statement by statement, never run.

Theory of operation
    `compiler_nb.plan.statement` finds where a statement ends and whether it is within the limits. Only then is the
    statement handed to `ast.parse`, and its tree is read by `compiler_nb.plan.reading`.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Final

from compiler_nb.plan import check
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.check import Refused
from compiler_nb.plan.functions import FUNCTIONS
from compiler_nb.plan.reading import Reader
from compiler_nb.plan.statement import Statement, parse_syntax
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, references

IPYTHON: Final = frozenset({"In", "Out", "get_ipython", "exit", "quit", "display"})
RESERVED: Final = frozenset(dir(builtins)) | IPYTHON | {"join", "answer"}
_GUARD: Final = "write each call of its block as name = tool(...) if test else None"
_COMPOUND: Final = {
    "for": "write [tool(x) for x in xs]", "while": "a plan has no loops: ask for another plan with join()",
    "if": _GUARD, "elif": _GUARD, "else": _GUARD, "def": "call the tools instead",
    "class": "call the tools instead", "with": "call the tools one by one",
    "try": "leave it out: a failed call is reported by itself", "except": "leave it out",
    "finally": "leave it out", "match": _GUARD, "case": "leave it out",
    "async": "leave out async", "@": "call the tools instead",
}  # fmt: skip
_SIMPLE: Final = {
    "import": "call the tools instead", "from": "a plan cannot import anything: call the tools",
    "global": "leave it out", "nonlocal": "leave it out", "raise": "leave it out", "assert": "leave it out",
    "return": "write answer(value)", "yield": "write answer(value)", "pass": "leave it out", "del": "leave it out",
    "break": "leave it out", "continue": "leave it out",
}  # fmt: skip
_LINE: Final = "a line of a plan is name = expression, a call of a tool, join(...) or answer(...)"
_INSTEAD: Final[dict[type, str]] = {
    ast.Tuple: "one name per line: name = tool(...), then first = name[0]",
    ast.List: "one name per line: name = tool(...), then first = name[0]",
    ast.Subscript: "a plan cannot change a value in place: give the result a name of its own",
    ast.Attribute: "a plan cannot change a value in place: give the result a name of its own",
    ast.Name: "one name per line: name = tool(...)",
    ast.AnnAssign: "leave out the annotation: name = tool(...)",
    ast.AugAssign: "write it out: total = total + x",
}
"""What to write instead of an assignment, by its first target or its own kind."""
_KEYWORD: Final = re.compile(r"\s*(@|[a-z]+\b)")


class PythonDialect:
    """Reads a program of the python dialect; `line` is the number of its first line."""

    def __init__(self, builder: Builder, line: int = 1) -> None:
        self.builder = builder
        self.line = line  # the number of the physical line that comes next
        self.statement = Statement()  # what has arrived of it, in whole physical lines
        self.begins = line
        self.skip_indented = False
        self.indent: str | None = None
        self.notes: list[str] = []
        self.count = 0
        # What each name stands for. An earlier round's result hides an input of the same name, as a task above does.
        self.names: dict[str, Tree] = {name: Input(name) for name in builder.inputs}
        self.names |= builder.readable
        self.lengths: dict[str, int] = {}  # of the literals that stand behind names, written out
        self.written = 0  # what was written out so far
        self.repeated = 0  # nodes of guards so far
        self.text = ""  # of the statement that is being read
        self.final_line = 0

    def feed(self, text: str) -> None:
        """Take one physical line, and read the statement that it ends, if it ends one."""
        if not self.statement.lines:
            self.begins = self.line
        self.line += 1
        if not self.statement.add(text):
            ended, self.statement = self.statement, Statement()
            self._take("".join(ended.lines), ended.wrong)

    def close(self, rest: str, *, complete: bool) -> None:
        """End the text; an unterminated line counts only if the model ended the text."""
        if complete:
            if rest:
                self.feed(rest + "\n")
            if self.statement.lines:
                self.builder.problem("truncated", self.begins, 1, "the plan stops inside a string or a bracket")
        elif rest.strip() or self.statement.lines:
            self.builder.problem("truncated", self.line, 1, "the plan stops in the middle of a line")

    # ---------------------------------------------------------------- statements

    def _take(self, text: str, wrong: Refused | None) -> None:
        stripped = text.strip()
        if not stripped:
            self.notes = []
            return
        if stripped.startswith("#"):
            self.notes.append(stripped.lstrip("#").strip())
            return
        if self.builder.full:
            return
        note, self.notes = " ".join(self.notes), []
        indent = text[: len(text) - len(text.lstrip(" \t"))]
        if self.skip_indented and indent:
            return
        self.skip_indented = False
        if self.indent is None:
            self.indent = indent
        self.count += 1
        self.text = text
        try:
            statement = self._parse(text.removeprefix(self.indent), wrong)
            if statement is not None:
                self._read(statement, note)
        except Refused as refused:
            line = getattr(refused.place, "lineno", 1) or 1
            column = self._column(line, getattr(refused.place, "col_offset", 0) or 0)
            self.builder.problem(refused.kind, self.begins + line - 1, column, refused.message)

    def _column(self, line: int, offset: int) -> int:
        """Return the column, from 1, of an offset that Python's parser counted in bytes after the first indent."""
        indent = self.indent or "" if line == 1 else ""
        lines = self.text.split("\n", line) if offset and not self.text.isascii() else []
        if line <= len(lines):
            bytes_before = lines[line - 1].removeprefix(indent).encode("utf-8", "replace")[:offset]
            offset = len(bytes_before.decode("utf-8", "ignore"))
        return len(indent) + offset + 1

    def _parse(self, text: str, wrong: Refused | None) -> ast.stmt | None:
        if len(text) > check.STATEMENT_LIMIT:
            size = f"{len(text):,} characters; at most {check.STATEMENT_LIMIT:,} are allowed"
            raise Refused("too_large", f"a statement of {size}")
        if wrong is not None:
            raise wrong
        self._check_keyword(text)
        try:
            body: list[ast.stmt] = parse_syntax(text, "single").body
        except SyntaxError as error:
            line = error.lineno or 1
            before = (text.split("\n", line) + [""] * line)[line - 1][: max((error.offset or 1) - 1, 0)]
            place = ast.Pass(lineno=line, col_offset=len(before.encode("utf-8", "replace")))
            kind = "too_large" if "digits" in (error.msg or "") else "syntax"
            raise Refused(kind, f"this is not a line of a plan ({error.msg}): write name = tool(...)", place) from None
        except UnicodeEncodeError:
            return None  # a lone surrogate, which is a problem already
        except (ValueError, RecursionError, MemoryError) as error:
            raise Refused("syntax", f"this cannot be read ({type(error).__name__}): write name = tool(...)") from None
        if len(body) > 1:
            raise Refused("statement", "there are two statements on one line: give each its own line", body[1])
        return body[0] if body else None

    def _check_keyword(self, text: str) -> None:
        found = _KEYWORD.match(text)
        word = found[1] if found else ""
        hint = _COMPOUND.get(word) or _SIMPLE.get(word)
        # `match` and `case` are ordinary names too: only a line that ends in a colon is the statement.
        if hint and (word not in ("match", "case") or text.rstrip().endswith(":")):
            self.skip_indented = word in _COMPOUND  # its block would only repeat the problem, line by line
            raise Refused("statement", f"`{word}` is not allowed in a plan: {hint}")

    # ---------------------------------------------------------------- meaning

    def _read(self, statement: ast.stmt, note: str) -> None:
        if self.builder.final is not None or self.final_line:
            raise Refused("join", f"nothing may follow the last line (line {self.final_line})", statement)
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                check.check_name(name, target)
                self._assign(name, value, note)
            case ast.Expr(value=ast.Call(func=ast.Name(id="join" | "answer" as which)) as call):
                self.final_line = self.begins
                self._end(which, call)
            case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call()) | ast.IfExp() | ast.BoolOp() as value):
                self._assign(f"@{self.count}", value, note)
            case _:
                part = statement.targets[0] if isinstance(statement, ast.Assign) else statement
                raise Refused("statement", _INSTEAD.get(type(part), _LINE), statement)

    def _reader(self, base: str) -> Reader:
        tools = self.builder.tools
        reader = Reader(
            base,
            self.names.keys(),
            self._resolve,
            lambda name: name not in FUNCTIONS if tools is None else name in tools,
            lambda name: tools is not None and name in tools and tools[name].side_effects,
        )
        reader.repeated = self.repeated
        return reader

    def _resolve(self, name: str) -> Tree:
        length = self.lengths.get(name, 0)
        self.written += length
        if length and self.written > check.STATEMENT_LIMIT:
            limit = f"more than {check.STATEMENT_LIMIT:,} characters"
            raise Refused("too_large", f"the literals behind names are repeated to {limit}: offer {name!r} as an input")
        return self.names[name]

    def _assign(self, name: str, value: ast.expr, note: str) -> None:
        try:
            self._give(name, value, note)
        finally:
            self.names.setdefault(name, Ref(name))  # if there was a problem, a reference to it is not reported as well

    def _give(self, name: str, value: ast.expr, note: str) -> None:
        reader = self._reader(name)
        before = self.written
        task = reader.own_task(value)
        if task is None:
            reader.whole = value
            tree = reader.read(value)
            self.repeated = reader.repeated
            if not reader.parts and (check.is_literal(tree) or isinstance(tree, Ref | Input)):
                if _is_deep(tree):
                    raise Refused(
                        "too_deep", f"the value nests more than {check.DEPTH_LIMIT} deep: offer it as an input", value
                    )
                self.names[name] = self.builder.last = tree
                self.lengths[name] = 0 if isinstance(tree, Expression) else len(self.text) + self.written - before
                return
            if name.startswith("@") and not any(part.guard for part in reader.parts):
                raise Refused("statement", "this line computes a value that is not used: give it a name", value)
            task = Task(name, "expr", "", (tree,), line=value.lineno, column=value.col_offset)
        avoid: Collection[str] = RESERVED if self.builder.tools is None else {*RESERVED, *self.builder.tools}
        group = [self._placed(each) for each in (*reader.parts, replace(task, note=note))]
        if self._check_calls(group):
            id_ = self.builder.add(group[-1], group[:-1], avoid=avoid)
            self.names[name] = self.builder.last = Ref(id_)
            self.lengths.pop(name, None)

    def _check_calls(self, group: list[Task]) -> bool:
        """Report all problems of all calls; return whether there are none."""
        return False not in [self.builder.check_call(call) for task in group for call in _calls(task)]

    def _placed(self, task: Task) -> Task:
        return replace(task, line=self.begins + task.line - 1, column=self._column(task.line, task.column))

    def _end(self, which: str, call: ast.Call) -> None:
        reader = self._reader(which)
        if which == "answer" and (len(call.args) != 1 or call.keywords):
            raise Refused("join", "answer takes one value: answer(x), or answer({...}) for several", call)
        words = {word.arg or "": word.value for word in call.keywords}
        if words.keys() - {"instruction"}:
            raise Refused("join", "join takes names of tasks: join(ny, note)", call)
        trees = [reader.read(arg) for arg in call.args]
        instruction = reader.read(words["instruction"]) if words else ""
        if not isinstance(instruction, str):
            raise Refused("join", 'the instruction of join must be a text: join(ny, instruction="be brief")', call)
        if which == "join":
            for position, tree in enumerate(trees):
                if check.is_literal(tree) and not isinstance(call.args[position], ast.Name):
                    raise Refused(
                        "join", "join takes names of tasks: join(ny, note); a known value is answer(value)", call
                    )
                if type(tree) is not Ref:
                    trees[position] = reader.part(
                        Task("", "expr", "", (tree,), line=call.lineno, column=call.col_offset)
                    )
        self.repeated = reader.repeated
        parts = [self._placed(each) for each in reader.parts]
        if not self._check_calls(parts):
            return
        trees = self.builder.add_parts(which, parts, trees)
        self.builder.final = Return(trees[0]) if which == "answer" else Join(references(trees), instruction)


def _is_deep(tree: Tree) -> bool:
    """Whether a literal nests too deeply once the names in it are replaced by the literals that they stand for."""
    level = [tree]
    for _ in range(check.DEPTH_LIMIT + 1):
        nests = [part for part in level if type(part) in (list, tuple, set, dict)]
        level = [item for part in nests for item in (*part, *(part.values() if type(part) is dict else ()))]
    return bool(level)


def _calls(task: Task) -> list[Task]:
    """Return the task if it is a call, or the calls within a fan-out, each with the place of the fan-out."""
    if task.kind == "fanout":
        return [replace(step, line=task.line, column=task.column) for step in task.args[0].steps]
    return [task] if task.kind == "call" else []
