"""The python dialect: straight-line programs of calls and pure expressions, read statement by statement, never run.

Theory of operation
    `compiler_nb.plan.statement` finds where a statement ends and whether it is within the limits. Only then is the
    statement handed to `ast.parse`, and its tree is read by `compiler_nb.plan.line`.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from compiler_nb.errors import Problem
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.plan import check
from compiler_nb.plan.builder import Builder, free_name
from compiler_nb.plan.check import Refused
from compiler_nb.plan.fanout import linked_fanout
from compiler_nb.plan.line import LineReader
from compiler_nb.plan.refusals import COMPOUND, CONTINUES, check_keyword, explain_syntax, keyword, line_named, no_line
from compiler_nb.plan.statement import CLOSING, Statement, parse_syntax
from compiler_nb.plan.task import Join, Kind, Return, Task
from compiler_nb.plan.tree import Expression, Input, Ref, Tree, references
from compiler_nb.signature.names import NAME_LIMIT

IPYTHON: Final = frozenset({"In", "Out", "get_ipython", "exit", "quit", "display"})
RESERVED: Final = frozenset(dir(builtins)) | IPYTHON | {"join", "answer"}
_GIVES: Final = re.compile(
    r"^[ \t]*(?:(?:let|const|var)[ \t]+)?(?P<names>\*?[^\W\d]\w*+(?:[ \t]*,[ \t]*\*?[^\W\d]\w*+)*+)[ \t]*"
    r"(?:(?::[^=\n]*+)?[-+*/%]{0,2}=|<-)"
    r"|\b(?:for|import|as|def|class)[ \t]+(?P<more>[^\W\d]\w*+(?:[ \t]*,[ \t]*[^\W\d]\w*+)*+)",
    re.MULTILINE,
)
"""The names that a text would give, if its lines were allowed."""


class PythonDialect:
    """Reads a program of the python dialect; `line` is the number of its first line."""

    def __init__(self, builder: Builder, line: int = 1) -> None:
        self.builder = builder
        self.line = line  # the number of the physical line that comes next
        self.statement = Statement()  # what has arrived of it, in whole physical lines
        self.begins = line
        self.skip_indented = False  # in the block of a statement that is a problem
        self.in_text = False  # in the lines after a string that does not end on its line: these are not reported
        self.indent: str | None = None
        self.notes: list[str] = []
        self.count = 0
        # What each name stands for. An earlier round's result hides an input of the same name, as a task above does.
        self.names: dict[str, Tree] = {name: Input(name) for name in builder.inputs}
        self.names |= builder.readable
        self.lengths: dict[str, int] = {}  # of the literals that stand behind names, written out
        self.written = 0  # what was written out so far
        self.repeated = 0  # characters of guards so far
        self.text = ""  # of the statement that is being read
        self.final_line = 0
        self.given: dict[str, int] = {}  # a name -> the first line that gives it
        self.reads: dict[str, set[str]] = {}  # a name -> those that its lines read, from the first missing one on
        self.missing: dict[Problem, str] = {}  # uses of names that no line above gives
        self.target = ""  # the name that the statement gives
        builder.functions = FUNCTIONS

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
                self._report_open(self.statement)
        elif rest.strip() or self.statement.lines:
            self.builder.problem(
                "truncated", self.line, 1, "the plan stops in the middle of a line: write it to its end"
            )
        self._report_forward()

    def _report_open(self, statement: Statement) -> None:
        if statement.wrong is not None:
            self.builder.problem(statement.wrong.kind, self.begins, 1, statement.wrong.message)
            return
        if not statement.open:
            self.builder.problem("truncated", self.begins, 1, "the plan stops behind a backslash: leave it out")
            return
        if statement.crossed:  # what is open behind it tells nothing
            line, column, mark, closing = statement.crossed
            message = f"the {closing} that stands here closes a {mark}: write {CLOSING[mark]} before it"
            self.builder.problem("syntax", self.begins + line, column + 1, message)
            return
        line, column, mark = statement.open[-1]
        closing = "".join(CLOSING.get(each, each) for _, _, each in reversed(statement.open))
        message = f"the {mark} that stands here is not closed: write {closing} at its end"
        self.builder.problem("truncated", self.begins + line, column + 1, message)

    def _report_forward(self) -> None:
        """Turn each use of a name that a later line gives into that problem, and keep the first for each name."""
        told: set[str] = set()
        problems = self.builder.problems
        for problem, name in self.missing.items():
            line = self.given.get(name, 0)
            if name == problem.task and problem in problems:
                message = f"{name!r} is the name of this line itself: read the name of a line above"
                problems[problems.index(problem)] = problem._replace(kind="self_ref", message=message)
            if line <= problem.line or problem not in problems:
                continue
            if name in told:
                problems.remove(problem)
                continue
            told.add(name)
            kind, message = "forward_ref", f"{name!r} is given in line {line} only: move that line above this one"
            if check.leads(self.reads, name, problem.task):
                kind = "cycle"
                message = f"{problem.task!r} and {name!r} need each other: let one of them do without the other"
            problems[problems.index(problem)] = problem._replace(kind=kind, message=message)

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
        if self.skip_indented and (indent or (keyword(stripped) in CONTINUES and ":" in stripped)):
            self._give_up(text)
            return
        self.skip_indented = False
        if self.indent is None:
            self.indent = indent
        self.count += 1
        self.text, in_text = text, self.in_text
        try:
            statement = self._parse(text.removeprefix(self.indent), wrong)
            if statement is None:
                self._give_up(text)
            else:
                self._read(statement, note)
                self.in_text = False
        except Refused as refused:
            if in_text and refused.kind in ("syntax", "statement"):
                self._give_up(text)
                return
            line = getattr(refused.place, "lineno", 1) or 1
            column = self._column(line, getattr(refused.place, "col_offset", 0) or 0)
            problem = Problem(refused.kind, self.begins + line - 1, column, refused.message)
            if refused.kind == "missing_ref" and isinstance(refused.place, ast.Name):
                problem = problem._replace(task=self.target)
                self.missing[problem] = refused.place.id
                self.reads.setdefault(self.target, set()).add(refused.place.id)
            self.builder.problem(*problem)
            self._give_up(text)

    def _give_up(self, text: str) -> None:
        """Take the names that a statement would have given as known, so that their uses are not reported as well."""
        for found in _GIVES.finditer(text):
            for name in re.split(r"[ \t]*,[ \t]*\*?", (found["names"] or found["more"]).lstrip("*")):
                self.names.setdefault(name, Ref(name))
                self.given.setdefault(name, self.begins)

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
            size = f"{len(text):,} characters; at most {check.STATEMENT_LIMIT:,} are allowed: use several lines"
            raise Refused("too_large", f"a statement of {size}")
        if wrong is not None:
            raise wrong
        self.skip_indented = keyword(text) in COMPOUND  # its block would only repeat the problem, line by line
        check_keyword(text)
        self.skip_indented = False
        try:
            body: list[ast.stmt] = parse_syntax(text, "single").body
        except SyntaxError as error:
            before = line_named(text, error)[: max((error.offset or 1) - 1, 0)]
            self.in_text |= (error.msg or "").startswith("unterminated string")
            place = ast.Pass(lineno=error.lineno or 1, col_offset=len(before.encode("utf-8", "replace")))
            kind = "too_large" if "digits" in (error.msg or "") else "syntax"
            raise Refused(kind, explain_syntax(text, error), place) from None
        except UnicodeEncodeError:
            return None  # a lone surrogate, which is a problem already
        except (ValueError, RecursionError, MemoryError) as error:
            raise Refused("syntax", f"this cannot be read ({type(error).__name__}): use several lines") from None
        if len(body) > 1:
            raise Refused("statement", "there are two statements on one line: give each its own line", body[1])
        return body[0] if body else None

    # ---------------------------------------------------------------- meaning

    def _read(self, statement: ast.stmt, note: str) -> None:
        if self.builder.final is not None or self.final_line:
            raise Refused(
                "join", f"nothing may follow the last line (line {self.final_line}): write it above", statement
            )
        match statement:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                check.check_name(name, target)
                self._assign(name, value, note)
            case ast.Assign(targets=[ast.Tuple(elts=targets) | ast.List(elts=targets) as pattern], value=value):
                self._unpack(pattern, targets, value, note)
            case ast.Assign(targets=[ast.Name() as first, *rest], value=value) if all(
                isinstance(each, ast.Name) for each in rest
            ):
                self._read(ast.copy_location(ast.Assign([first], value), statement), note)
                for each in rest:
                    self._read(ast.copy_location(ast.Assign([each], first), statement), "")
            case ast.Expr(value=ast.Call(func=ast.Name(id="join" | "answer" as which)) as call):
                self.final_line = self.begins
                self._end(which, call)
            case ast.Expr(value=ast.Call() | ast.Await(value=ast.Call()) | ast.IfExp() | ast.BoolOp() as value):
                self._assign(f"@{self.count}", value, note)
            case ast.Expr(value=value) if self.builder.answers:
                self._answer(value)
            case _:
                raise Refused("statement", no_line(statement), statement)

    def _unpack(self, pattern: ast.expr, targets: list[ast.expr], value: ast.expr, note: str) -> None:
        """Give each name of a pattern its part of a value; a value that is not a written tuple gets its own name."""
        names: list[str] = []
        for part in ast.walk(pattern):
            if isinstance(part, ast.Name):
                if part.id != "_":
                    check.check_name(part.id, part)
                    names.append(part.id)
            elif not isinstance(part, ast.Tuple | ast.List | ast.expr_context):
                raise Refused("statement", no_line(part), pattern)
        parts = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        plain = [part.id for part in targets if isinstance(part, ast.Name)]
        side_by_side = len(parts) == len(targets) == len(plain) and plain == names
        if not side_by_side or any(isinstance(part, ast.Starred) for part in parts):
            whole = free_name("_".join(names if len(names) > 1 else [*names, "all"])[:NAME_LIMIT], self.names)
            self._assign(whole, value, note)
            rows = ast.comprehension(pattern, ast.List([ast.Name(whole)]), [], 0)
            parts = [ast.Call(ast.Name("next"), [ast.GeneratorExp(ast.Name(name), [rows])], []) for name in names]
        new: dict[str, Tree] = {}
        for name, part in zip(names, parts, strict=True):  # each is read before any of the names means its new value
            old = self.names.get(name)
            self._assign(name, ast.fix_missing_locations(ast.copy_location(part, value)), note if side_by_side else "")
            new[name] = self.names.pop(name)
            self.names |= {} if old is None else {name: old}
        self.names |= new

    def _reader(self, base: str) -> LineReader:
        tools = self.builder.tools
        reader = LineReader(
            base,
            self.names.keys(),
            self._resolve,
            lambda name: name not in FUNCTIONS if tools is None else name in tools,
            lambda name: tools is not None and name in tools and tools[name].side_effects,
        )
        reader.repeated = self.repeated
        return reader

    def _resolve(self, name: str) -> Tree:
        if self.missing:
            self.reads.setdefault(self.target, set()).add(name)
        length = self.lengths.get(name, 0)
        self.written += length
        if length and self.written > check.STATEMENT_LIMIT:
            limit = f"more than {check.STATEMENT_LIMIT:,} characters"
            raise Refused("too_large", f"the literals behind names are repeated to {limit}: offer {name!r} as an input")
        return self.names[name]

    def _assign(self, name: str, value: ast.expr, note: str) -> None:
        self.target = name
        self.given.setdefault(name, self.begins)
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
                if not self.builder.has_task(name) or (type(tree) is Ref and tree == self.names.get(name)):
                    self.names[name] = self.builder.last = tree
                    self.lengths[name] = 0 if isinstance(tree, Expression) else len(self.text) + self.written - before
                    return
            if name.startswith("@") and not any(part.guard for part in reader.parts):
                if self.builder.answers:
                    self._answer(value)
                    return
                raise Refused("statement", "this line computes a value that is not used: give it a name", value)
            fanout = linked_fanout(tree, self._containers(reader.parts))
            kind: Kind = "expr" if fanout is None else "fanout"
            task = Task(name, kind, "", (fanout or tree,), line=value.lineno, column=value.col_offset)
        avoid: Collection[str] = RESERVED if self.builder.tools is None else {*RESERVED, *self.builder.tools}
        group = [self._placed(each) for each in (*reader.parts, replace(task, note=note))]
        if self._check_calls(group):
            id_ = self.builder.add(group[-1], group[:-1], avoid=avoid)
            self.names[name] = self.builder.last = Ref(id_)
            self.lengths.pop(name, None)

    def _containers(self, parts: list[Task]) -> Callable[[str], str]:
        """Return a function that says "list" or "dict" for the id of a fan-out of this plan, or of this line."""
        own = {part.id: part.args[0].container for part in parts if part.kind == "fanout"}
        return lambda id_: own.get(id_) or self.builder.containers.get(id_, "")

    def _check_calls(self, group: list[Task]) -> bool:
        """Report all problems of all calls; return whether there are none."""
        return False not in [self.builder.check_call(call) for task in group for call in _calls(task)]

    def _placed(self, task: Task) -> Task:
        return replace(task, line=self.begins + task.line - 1, column=self._column(task.line, task.column))

    def _answer(self, value: ast.expr) -> None:
        """Take an expression as the last line, whose value is the answer."""
        self.final_line = self.begins
        self._end("answer", ast.copy_location(ast.Call(ast.Name("answer"), [value], []), value))

    def _end(self, which: str, call: ast.Call) -> None:
        reader, self.target = self._reader(which), which
        if which == "answer" and (len(call.args) != 1 or call.keywords):
            raise Refused("join", "answer takes one value: answer(x), or answer({...}) for several", call)
        words = {word.arg or "": word.value for word in call.keywords}
        if words.keys() - {"instruction"}:
            raise Refused("join", "join takes names of tasks: join(ny, note)", call)
        read = reader.operand if which == "join" else reader.read
        trees = [read(arg) for arg in call.args]
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
