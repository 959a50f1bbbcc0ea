"""The numbered dialect, the paper's: `1. search("x")`, `2. math("$1 * ${1}")`, `3. join()<END_OF_PLAN>`.

A task is complete at the end of its line. `Thought:` lines and `#` lines are the note of the next task; there may be
prose before the first numbered line and after the last, but not between. `$1`, `${1}` and `$1.title` are results, also
in strings; there a bare `$1` ends with its digits, `${1.title}` has a path, and `$$` is a dollar sign. `@name` outside
strings is an offered input. The last line is `join()`, `join($1, $2)` or `answer($1)`.
"""

from __future__ import annotations

import re
from typing import Final

from compiler_nb.errors import Problem
from compiler_nb.plan import check
from compiler_nb.plan.builder import Builder
from compiler_nb.plan.call import CallReader
from compiler_nb.plan.check import Refused
from compiler_nb.plan.reference import Dollar, follow, join_pieces, read_whole, split
from compiler_nb.plan.task import Join, Return, Task
from compiler_nb.plan.tree import Input, Ref, Tree, references
from compiler_nb.signature.names import NAME_LIMIT
from compiler_nb.text import suggest

_NUMBERED: Final = re.compile(r"([ \t]*)(\d+)[ \t]*[.)][ \t]*")
_THOUGHT: Final = re.compile(r"[ \t]*(?:Thought\b[^:]{0,20}:|#+)[ \t]*(.*)", re.IGNORECASE)
MARK: Final = "<END_OF_PLAN>"
_CALL: Final = re.compile(r"[ \t]*(?:[-*][ \t]+)?(?:\w+[ \t]*=[ \t]*)?(?:await[ \t]+)?\w+\(.*\)[ \t]*(?:#.*)?\Z")
"""What looks like a task without a number."""
_ID: Final = re.compile(r"[0-9]+(?:_[0-9]+)*")
_OTHER: Final = re.compile(r"t[0-9]+")
"""The name that other dialects, and variables, give to a numbered task."""


class NumberedDialect:
    """Reads the numbered dialect; `line` is the number of its first line."""

    def __init__(self, builder: Builder, line: int = 1) -> None:
        self.builder = builder
        self._line = line
        self._notes: list[str] = []
        self._declared: set[str] = set()  # the numbers so far, also those of lines with problems
        self._missing: dict[Problem, str] = {}  # references to numbers that no line before has
        self._texts: list[Problem] = []  # what stands for a dollar sign only as long as no line has its number
        self._reads: dict[str, set[str]] = {}  # a number -> those that its line refers to
        self._ended = False  # the last line was met
        self._broken = False  # in the lines that follow a call which goes on after its own line
        self._own = ""  # the number of the line that is being read
        self._sound = True  # whether everything that it refers to exists

    def feed(self, text: str) -> None:
        """Read a line."""
        self._read_line(text.removesuffix("\n"), ended=True)
        self._line += 1

    def close(self, rest: str, *, complete: bool) -> None:
        """End the text; an unterminated line counts only if the model ended the text."""
        if complete:
            self._read_line(rest, ended=False)
        elif rest.strip():
            self.builder.problem(
                "truncated", self._line, 1, "the plan stops in the middle of this line: write it to its end"
            )
        self._report_forward()

    def _read_line(self, text: str, *, ended: bool) -> None:
        line = check.CONTROL.sub("", text).rstrip(" \t\r")  # a control character has been reported already
        if len(text) > check.STATEMENT_LIMIT:
            self.builder.problem(
                "too_large",
                self._line,
                1,
                f"a line of {len(text):,} characters; at most {check.STATEMENT_LIMIT:,} are allowed: use several lines",
            )
        elif line and not self.builder.full:
            try:
                self._read(line)
            except Refused as refused:
                self._broken = refused.kind == "truncated"
                kind = "syntax" if ended and self._broken else refused.kind
                self.builder.problem(kind, self._line, refused.place + 1, refused.message)

    def _read(self, line: str) -> None:
        if numbered := _NUMBERED.match(line):
            self._read_numbered(line, numbered)
        elif thought := _THOUGHT.match(line):
            self._notes.append(thought[1])
        elif self._broken:
            pass
        elif _is_mark(line.lstrip(" \t")):
            if not self._ended:
                raise Refused("join", "the end marker comes before the last line, join(): write join()<END_OF_PLAN>")
        elif _CALL.match(line):
            raise Refused("junk", "this looks like a task without a number: write 1. tool(...), the number first")
        elif self._declared and not self._ended:
            raise Refused("junk", "text between the tasks: begin the line with Thought: or leave it out")

    def _read_numbered(self, line: str, numbered: re.Match[str]) -> None:
        number, column = numbered[2], numbered.end(1) + 1
        note, self._notes = " ".join(note for note in self._notes if note), []
        repeated = number in self._declared
        self._declared.add(number)
        self._broken = False
        if self._ended:
            raise Refused("join", "nothing may follow join(): write join() last", column - 1)
        if not (number.isascii() and number[0] != "0" and len(number) <= NAME_LIMIT):
            raise Refused("bad_id", f"{number[:20]!r} cannot number a task: number the lines 1, 2, 3, ...", column - 1)
        if repeated:
            raise Refused(
                "duplicate_id", f"two lines have the number {number}: give each line a number of its own", column - 1
            )
        self._own, self._sound = number, True
        meaning = {"string": self._text, "reference": self._reference, "input": self._input}
        reader = CallReader(line, numbered.end(), meaning)
        tool, args, kwargs = reader.call()
        for change in reader.notes:
            self.builder.note(self._line, change)
        self._check_rest(line, reader.at, tool)
        if tool in ("join", "answer"):
            self._ended = True
            self.builder.final = _join(args, kwargs) if tool == "join" else _answer(args, kwargs)
            return
        check.check_name(tool, numbered.end())
        task = Task(number, "call", tool, args, kwargs, note=note, line=self._line, column=column)
        if self.builder.check_call(task) and self._sound:
            self.builder.add(task)

    def _check_rest(self, line: str, at: int, tool: str) -> None:
        rest = line[at:].lstrip(" \t\r")
        last = tool in ("join", "answer")
        if not rest or rest.startswith("#") or (last and _is_mark(rest.split("#")[0].rstrip())):
            return
        index = len(line) - len(rest)
        if rest.startswith("<"):
            raise Refused("join", "the end marker may only follow the last line, join(): leave it out here", index)
        if rest[0] in ".[(+-*/%=!&|^,":
            raise Refused(
                "expression",
                "a result cannot be used on the same line: use it below, as $ and the number of this line",
                index,
            )
        raise Refused("junk", f"{rest[:20]!r} follows the call: leave it out, or write one task per line", index)

    def _report_forward(self) -> None:
        """Turn each reference to a number that came later into that problem."""
        problems = self.builder.problems
        for index, problem in enumerate(problems):
            number = self._missing.get(problem, "")
            if number in self._declared:
                problems[index] = self._forward(problem, number)
        for problem in self._texts:
            number = problem.message
            if number in self._declared:
                self.builder.problem(*self._forward(problem, number))

    def _forward(self, problem: Problem, number: str) -> Problem:
        if check.leads(self._reads, number, problem.task):
            message = f"lines {problem.task} and {number} need each other: leave out one of the two references"
            return problem._replace(kind="cycle", message=message)
        return problem._replace(
            kind="forward_ref",
            message=f"line {number} comes later: write it above this line, or $${number} for the text",
        )

    # ---------------------------------------------------------------- what the arguments of a line mean

    def _find(self, number: str) -> Ref | None:
        """Return the reference to a number; a line that is a problem itself is not reported again."""
        found = self.builder.resolve(number)
        return Ref(number) if found is None and number in self._declared else found

    def _text(self, text: str, index: int) -> Tree:
        """Return a string with the references in it."""
        if "$" not in text:
            return text
        whole = read_whole(text)
        if whole is not None and (_ID.fullmatch(whole.name) or not whole.name[0].isdigit() or text[1] == "{"):
            return self._resolve(whole, index)
        return join_pieces([part for piece in split(text) for part in self._piece(piece, index)])

    def _reference(self, written: str, index: int) -> Tree:
        """Return what `$1.title` outside strings stands for."""
        whole = read_whole(written)
        if whole is None:
            raise Refused("ambiguous_ref", f"{written[:40]} is not a reference: write $1 or ${{1}}", index)
        return self._resolve(whole, index)

    def _input(self, written: str, index: int) -> Tree:
        """Return an offered input, or an item of it: `@name`, `@name[0]`."""
        name = re.split(r"\W", written[1:], maxsplit=1)[0]
        if name not in self.builder.inputs:
            offered = ", ".join(f"@{each}" for each in sorted(self.builder.inputs)[:20]) or "none"
            hint = suggest(name, self.builder.inputs)
            raise Refused("private_ref", f"no offered input is called {name[:40]!r}.{hint} There are: {offered}", index)
        return follow(Input(name), written[1 + len(name) :], index)

    def _piece(self, piece: str | Dollar, index: int) -> list[Tree]:
        """Return what a piece of a longer string stands for."""
        if isinstance(piece, str):
            return [piece]
        if piece.form == "bare":
            found = _ID.match(piece.name)
            if found:
                # `$1_2` is the task 1_2 if there is one, otherwise the task 1 before the text _2.
                number = found[0] if self._find(found[0]) else found[0].split("_")[0]
                rest = piece.name[len(number) :]
                if number != self._own and self._find(number) is None:
                    self._texts.append(Problem("", self._line, index + 1, number, self._own))
                    self._reads.setdefault(self._own, set()).add(number)
                    self.builder.note(self._line, f"${number[:20]} is text: no line above has this number")
                    return [piece.text]
                return [self._resolve(Dollar("bare", number, "", f"${number}"), index), *([rest] if rest else [])]
        elif piece.name[:1].isdigit():
            if piece.form == "open":
                raise Refused(
                    "ambiguous_ref", f"{piece.text[:40]} is not closed, or is not a reference; write ${{1}}", index
                )
            return [self._resolve(piece, index)]
        if _OTHER.fullmatch(piece.name):
            return [self._resolve(piece, index)]
        return [piece.text]

    def _resolve(self, dollar: Dollar, index: int) -> Tree:
        name = dollar.name
        if name == self._own:
            raise Refused(
                "self_ref",
                f"line {name} refers to itself: refer to a line above, or write $${name} for the text",
                index,
            )
        if not name[0].isdigit():
            hint = f"write ${name[1:]}" if _OTHER.fullmatch(name) else "write the number of the line, as in $1"
            raise Refused(
                "missing_ref", f"{dollar.text[:40]} is not a reference here: {hint}, or $$ for a dollar sign", index
            )
        found = self._find(name)
        self._reads.setdefault(self._own, set()).add(name)
        if found is None:
            self._sound = False
            known = ", ".join(f"${each}" for each in list(self.builder.ids)[:10]) or "none"
            message = f"no earlier line has the number {name[:20]}; there are {known}. Write $$ for a dollar sign"
            problem = Problem("missing_ref", self._line, index + 1, message, self._own)
            self.builder.problem(*problem)
            self._missing[problem] = name  # it may come later: then this is another problem
        return follow(found or Ref(name), dollar.path, index)


def _is_mark(text: str) -> bool:
    """Whether a text is the end marker, or as much of it as came."""
    return text != "" and MARK.startswith(text)


def _join(args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> Join:
    instruction = kwargs.get("instruction", "")
    if not all(type(arg) is Ref for arg in args) or kwargs.keys() - {"instruction"} or not isinstance(instruction, str):
        raise Refused("join", 'join takes results, as in join($1, $2), and an instruction="..." at most')
    return Join(references(args), instruction)


def _answer(args: tuple[Tree, ...], kwargs: dict[str, Tree]) -> Return:
    if len(args) != 1 or kwargs:
        raise Refused("join", "answer takes one value, as in answer($1)")
    return Return(args[0])
