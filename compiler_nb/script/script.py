"""A plan as a script: what it imports, its tools, the helpers that it needs, and its tasks."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from compiler_nb.errors import ToolError
from compiler_nb.plan.expression import Fanout
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Join, Task
from compiler_nb.plan.tree import walk
from compiler_nb.script.gather import Gathered, literal_of
from compiler_nb.script.pieces import helpers_for, names_in, own_names
from compiler_nb.script.spelling import python_name
from compiler_nb.script.writer import BodyWriter, parameters_of, quoted
from compiler_nb.text import count_of, cut, type_name
from compiler_nb.tool import Tool

ABOUT: Final = '"""{}\n\n{}\n"""'
_ASK: Final = '''
async def _ask_model(prompt: str) -> str:
    """Ask a model; fill this in, for example with the openai client, which reads its key from the environment."""
    # from openai import AsyncOpenAI
    # reply = await AsyncOpenAI().chat.completions.create(
    #     model="gpt-5-mini", messages=[{"role": "user", "content": prompt}]
    # )
    # return reply.choices[0].message.content
    raise NotImplementedError("fill in _ask_model: the plan asks a model")
'''
_LLM: Final = '''
async def llm(instruction: str, *data: object) -> str:
    """Return what a model says to an instruction about data."""
    return await _ask_model("\\n\\n".join([instruction, *map(str, data)]))
'''
_EXTRACT: Final = '''
async def extract(text: str, fields: object) -> object:
    """Return the fields of a text, as a model reads them."""
    import json

    return json.loads(await _ask_model(f"Return these fields as a JSON object, nothing else: {fields}\\n\\n{text}"))
'''
_LANGUAGE: Final = {"llm": _LLM, "extract": _EXTRACT}


class ScriptText(str):
    """The text of a script; missing: what the user has to fill in, in words, by name."""

    __slots__ = ("missing",)
    missing: dict[str, str]


def write_script(
    plan: Plan,
    tools: Mapping[str, Tool] | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    max_concurrency: int = 8,
    limits: Mapping[str, int] | None = None,
    rates: Mapping[str, str] | None = None,
    drop_failed: float = 0.0,
    question: str = "",
    secrets: Iterable[Any] = (),
) -> ScriptText:
    """Return a plan as a script.

    tools: by name; those that are not given are to be imported by the user; inputs: values of the offered variables, of
    which those are written that have a literal; limits: calls at a time per resource ("provider:openai"); rates: limits
    per minute in words, by provider, which do not hold in it; drop_failed: the share of a fan-out's items that may
    fail; question: for its first line; secrets: what it may not hold.
    """
    limits = {"calls": max_concurrency, **(limits or {})}
    writer = _ScriptWriter(plan, tools or {}, inputs or {}, limits, question, secrets)
    writer.rates, writer.drop_failed = rates or {}, drop_failed
    made = ScriptText(writer.write())
    made.missing = writer.missing
    return made


class _ScriptWriter:
    def __init__(  # noqa: PLR0917 - what a script is made of
        self,
        plan: Plan,
        tools: Mapping[str, Tool],
        inputs: Mapping[str, Any],
        limits: Mapping[str, int],
        question: str,
        secrets: Iterable[Any],
    ) -> None:
        self.plan, self.question, self.given, self.limits = plan, question, inputs, limits
        self.rates: Mapping[str, str] = {}
        self.drop_failed = 0.0
        self.called = called_by(plan.tasks)
        self.tools = {name: tools[name] for name in self.called if isinstance(tools.get(name), Tool)}
        self.unknown = [name for name in self.called if name not in self.tools]
        self.gathered = Gathered(secrets)
        self.missing = self.gathered.missing
        self.missing |= dict.fromkeys(self.unknown, "import or define it")

    def write(self) -> str:
        body = BodyWriter(self.plan.tasks, self.plan.final, self.tools, self.drop_failed)
        shown = body.write()
        table, gathered = self._table(), self.gathered
        parameters = ", ".join(map(python_name, body.inputs))
        begin = f"    _begin({', '.join(f'{name}={most}' for name, most in self._slots().items())})\n"
        main = f"async def main({parameters}):\n{self._doc()}{begin}\n{shown}"
        end = self._end(body.inputs)
        own = "\n\n\n".join(filter(None, gathered.definitions.values()))
        code = "\n\n\n".join(filter(None, [own, table, main, end]))
        self._check_names(own)
        imports, helpers = helpers_for(names_in(code))
        if "pd" in names_in(main):
            gathered.imports["import pandas as pd"] = None
        lines = list(dict.fromkeys(["from __future__ import annotations", *imports, *gathered.imports]))
        head = [
            self._about(),
            lines[0],
            "\n".join(sorted(lines[1:], key=_rank)),
            *([] if not self.unknown else [self._to_import()]),
        ]
        first = [text for text in helpers if text.startswith("class _FillIn")]
        rest = [text for text in helpers if text not in first]
        parts = ["\n\n".join(head), *first, own, _titled("What performs the plan", rest), table, main, end]
        return "\n\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    def _about(self) -> str:
        asked = f"{cut(' '.join(self.question.split()), 100)}" if self.question else "A plan"
        asked = asked.replace("\\", "").replace('"""', "'''")
        text = (
            f"It performs {count_of(len(self.plan), 'task')}; each begins when what it reads is there. It was written "
            "by compiler_nb, and needs nothing of it. Expressions have no bounds here, and calls need no approval."
        )
        used = {tool.provider for tool in self.tools.values()}
        rates = [f"{name} allows {words}" for name, words in sorted(self.rates.items()) if name in used]
        if rates:
            text += f" Calls do not wait for limits per minute ({', '.join(rates)}): slow them down in the tools."
        if isinstance(self.plan.final, Join):
            text += " No model is asked for an answer: it returns the results that a joiner would read, by name."
        return ABOUT.format(asked if asked[-1:] in ".?!" else f"{asked}.", textwrap.fill(text, 100))

    def _doc(self) -> str:
        return '    """Perform the plan, and return its answer."""\n'

    def _to_import(self) -> str:
        return f"# import or define here what the plan calls, as in\n# from my_tools import {', '.join(self.unknown)}"

    # ---------------------------------------------------------------- tools

    def _table(self) -> str:
        """Return the table of tools, and see to it that their functions are there."""
        rows = []
        for name in self.called:
            tool = self.tools.get(name)
            if tool is None:
                rows.append(f"    {quoted(name)}: _Tool({name}),")
                continue
            self._function(name, tool)
            rows.append(f"    {quoted(name)}: _Tool({', '.join([_name_for(name), *self._options(tool)])}),")
        return "_TOOLS.update({\n" + "\n".join(rows) + "\n})" if rows else ""

    def _function(self, name: str, tool: Tool) -> None:
        own = _name_for(name)
        if name in _LANGUAGE and type(tool) is not Tool:
            self.gathered.definitions.setdefault("_ask_model", _ASK.strip("\n"))
            self.gathered.definitions[own] = _LANGUAGE[name].strip("\n")
            self.missing[name] = "it asks a model: fill in _ask_model"
        elif server := getattr(tool, "server", None):
            self.gathered.fill_in(own, f"a tool of the MCP server {server}")
        else:
            self.gathered.function(own, tool.function)

    def _options(self, tool: Tool) -> list[str]:
        slots = [name for name in self._slots_of(tool) if name in self._slots()]
        numbers = [f"{quoted(p.name)}: {p.hint.__name__}" for p in parameters_of(tool) if p.hint in (int, float)]
        return [
            *([f"timeout={tool.timeout:g}"] if tool.timeout is not None else []),
            *([f"retries={tool.retries}"] if tool.retries else []),
            *([f"slots=({', '.join(map(quoted, slots))},)"] if slots != ["calls"] else []),
            *(["main_thread=True"] if tool.thread == "main" else []),
            *([f"numbers={{{', '.join(numbers)}}}"] if numbers else []),
        ]

    def _slots(self) -> dict[str, int]:
        """Return how many calls may go on at a time, by what limits them."""
        found = {"calls": self.limits["calls"]}
        for tool in self.tools.values():
            provider = self.limits.get(f"provider:{tool.provider}") if tool.provider else None
            found |= {f"of_{tool.name}": tool.max_concurrency} if tool.max_concurrency else {}
            found |= {f"at_{_plain(tool.provider or '')}": provider} if provider else {}
        return found

    def _slots_of(self, tool: Tool) -> list[str]:
        return [f"of_{tool.name}", *([f"at_{_plain(tool.provider)}"] if tool.provider else []), "calls"]

    # ---------------------------------------------------------------- the end

    def _end(self, inputs: Sequence[str]) -> str:
        """Return what runs the script, with the values of its inputs as far as they can be written."""
        lines, missing = [], []
        for name in inputs:
            shown = literal_of(self.given[name], self.gathered.secrets) if name in self.given else ""
            lines.append(f"{python_name(name)} = {shown or '...'}")
            if not shown:
                what = type_name(self.given[name]) if name in self.given else "a variable that the plan reads"
                missing.append(f"{name} ({what})")
                self.missing[name] = f"{what}: main() takes it as an argument"
                lines[-1] += f"  # fill in: {what}"
        if missing:
            lines.append(f"raise SystemExit({quoted('fill in ' + ', '.join(missing) + ', and delete this line')})")
        given = ", ".join(map(python_name, inputs))
        lines.append(f"print(asyncio.run(main({given})))")
        return 'if __name__ == "__main__":\n' + textwrap.indent("\n".join(lines), "    ")

    def _check_names(self, own: str) -> None:
        bound = {
            part.id
            for part in ast.walk(ast.parse(own))
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        bound |= {node.name for node in ast.parse(own).body if hasattr(node, "name")}
        for name in sorted((bound & own_names()) - {"_ask_model"}):
            raise ToolError(f"the script has a helper called {name}, and so have your functions: rename yours")


def called_by(tasks: Iterable[Task]) -> list[str]:
    """Return the names of the tools that tasks call, in order."""
    found: list[str] = []
    for task in tasks:
        steps = [step for part in walk(task) if isinstance(part, Fanout) for step in part.steps]
        found += [each.tool for each in (task, *steps) if each.tool]
    return list(dict.fromkeys(found))


def _name_for(name: str) -> str:
    return python_name(name) if python_name(name) != name else name


def _plain(name: str) -> str:
    return "".join(each if each.isalnum() else "_" for each in name)


def _rank(line: str) -> tuple[bool, str]:
    return (not line.startswith("import "), line)


def _titled(title: str, texts: Sequence[str]) -> str:
    rule = f"# {'-' * 20} {title}"
    joined = ""
    for text in texts:
        joined += (
            "\n\n\n" if text.startswith(("def ", "async def ", "class ", "@")) or joined.endswith("\n") else "\n"
        ) + text
    return f"{rule}\n{joined}" if texts else ""
