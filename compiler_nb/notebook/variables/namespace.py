"""The notebook's variables, and what a question may use of them."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable
from typing import Any, Final

from compiler_nb.errors import ExpressionError, OptionError, PlanError, ToolError
from compiler_nb.notebook.shipped import SHIPPED, shipped
from compiler_nb.operations.bounds import Scope
from compiler_nb.plan.evaluate import evaluate
from compiler_nb.plan.expression import Apply
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.python import IPYTHON
from compiler_nb.plan.task import Return
from compiler_nb.signature.answers import AnswerType
from compiler_nb.signature.expressions import read_type
from compiler_nb.text import cut, describe_error, suggest
from compiler_nb.tool import Tool, Toolbox
from compiler_nb.toolbox.mcp import McpTools

PASTE_LIMIT: Final = 100_000
"""How many characters `{name}` may paste."""
SHOWN: Final = 60
"""Characters of an option's value that an error repeats."""
_OFFERED = re.compile(r"(?<![\w@.])@([^\W\d]\w*)")
_PASTED = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})")
_NAME = re.compile(r"[^\W\d]\w*")

NEXT: Final = "\n"
"""What stands before each further assignment that is given by itself."""
_ITEM: Final = re.compile(r"(?:^|(?<=,))\s*([^\W\d]\w*\[[^=]*?\](?:#\d+)?(?:\.\d+)?)\s*=(?!=)")
_QUOTED: Final = re.compile(r"""\"[^\"]*\"|'[^']*'""")
_STANDS_FOR: Final = "compiler_nb_item_"


class Namespace:
    """The variables of a notebook, by name."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def visible(self) -> dict[str, Any]:
        """Return the variables that a user has made."""
        return {name: value for name, value in self.values.items() if not name.startswith("_") and name not in IPYTHON}

    def tools(self, names: Iterable[str] | None = None) -> Toolbox:
        """Return the named functions as tools; names defaults to every Tool of the notebook, and those of servers.

        A name that the notebook does not have may be that of a tool that ships. Raises OptionError if a name is not
        that of a function, or the function cannot be a tool.
        """
        if names is None:
            chosen: list[Any] = [value for value in self.visible().values() if isinstance(value, Tool | McpTools)]
        else:
            chosen = [each for name in names for each in _functions(self._tool(name))]
        try:
            return Toolbox(chosen)
        except ToolError as error:
            raise OptionError(f"-T: {error}") from None

    def _tool(self, name: str) -> Any:
        return shipped(name) if name in SHIPPED and name not in self.visible() else self.get(name, "-T")

    def get(self, name: str, option: str) -> Any:
        """Return the value of a variable. Raises OptionError if there is no such variable."""
        known = self.visible()
        if name not in known:
            raise OptionError(f"{option}: no variable is called {name!r}.{suggest(name, known)}".removesuffix("."))
        return known[name]

    def inputs(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the named variables."""
        return {name: self.get(name, "-i") for name in names}

    def named_in(self, question: str) -> list[str]:
        """Return the variables that a question offers by @name, each once."""
        known = self.visible()
        return [name for name in dict.fromkeys(_OFFERED.findall(question)) if name in known]

    def read_by(self, plan: str) -> list[str]:
        """Return the variables that the text of a plan names, without modules and functions."""
        known = self.offered()
        return [name for name in dict.fromkeys(_NAME.findall(plan)) if name in known]

    def offered(self) -> dict[str, Any]:
        """Return the variables that a plan may read: those of the user, without modules and functions."""
        known = self.visible().items()
        return {name: each for name, each in known if not isinstance(each, types.ModuleType) and not callable(each)}

    def assigned(self, text: str, option: str) -> dict[str, Any]:
        """Return the values of `name=value, ...`: expressions as in a plan, which may read the notebook's variables.

        A name may be an item's: `rows[AAPL]=5`. Raises OptionError if the text is something else, or a value cannot be
        evaluated.
        """
        text, names = with_stand_ins(text)
        return {names.get(name, name): value for name, value in self._assigned(text, option).items()}

    def _assigned(self, text: str, option: str) -> dict[str, Any]:
        inputs = {name: self.values[name] for name in self.read_by(text)}
        try:
            tree = Plan.parse(f"answer(dict({text}))", dialect="python", tools={}, inputs=inputs).final
            match tree:
                case Return(Apply("dict", (), _) as values):
                    return dict(evaluate(values, Scope({}, inputs)))
        except PlanError as error:
            own = error.kind == "unknown_tool"
            reason = (
                "it calls a function: do that in a cell above, and name the result here"
                if own
                else error.problems[0].message
            )
        except ExpressionError as error:
            reason = str(error)
        else:
            reason = "it has no name"
        raise OptionError(f"{option} takes TASK=VALUE, such as best=[1, 2], not {cut(text, SHOWN)}: {reason}")

    def value(self, text: str, option: str) -> Any:
        """Return the value of an expression as in a plan, which may read the notebook's variables.

        Raises OptionError if it is something else, or cannot be evaluated.
        """
        inputs = {name: self.values[name] for name in self.read_by(text)}
        try:
            final = Plan.parse(f"answer({text}\n)", dialect="python", tools={}, inputs=inputs).final
            if isinstance(final, Return):
                return evaluate(final.expression, Scope({}, inputs))
            reason = "it is more than an expression"
        except PlanError as error:
            called = error.kind == "unknown_tool"
            reason = (
                "it calls a function: do that in a cell above, and name the result here"
                if called
                else error.problems[0].message
            )
        except ExpressionError as error:
            reason = str(error)
        raise OptionError(
            f"{option} takes an expression, such as [1, 2] or a variable, not {cut(text, SHOWN)}: {reason}"
        )

    def answer_type(self, text: str) -> AnswerType | None:
        """Return the type that `--as` names, None if it names none; it may be a class of the notebook.

        Raises OptionError if it is not a type, or not one that is known in the notebook.
        """
        try:
            return AnswerType(read_type(text, self.visible())) if text else None
        except ValueError as error:
            raise OptionError(f"--as {cut(text, SHOWN)}: {error}") from None

    def paste(self, question: str) -> str:
        """Return the question with each `{name}` of a variable replaced by its text; other braces stay as they are.

        Raises OptionError if a text is too long, or the value has none.
        """
        known = self.visible()

        def text_of(match: re.Match[str]) -> str:
            if match[1] not in known:
                return match[0]
            try:
                text = str(known[match[1]])
            except Exception as error:  # noqa: BLE001 - a value's own __str__ may raise anything
                raise OptionError(f"{match[0]} cannot be pasted: {describe_error(error)}") from None
            if len(text) > PASTE_LIMIT:
                raise OptionError(f"{match[0]} is {len(text):,} characters long; offer it by @{match[1]} instead")
            return text

        return _PASTED.sub(text_of, question)


def without_texts(text: str) -> str:
    """Return a text of the same length in which each piece in quotes is a word."""
    return _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)


def with_stand_ins(text: str) -> tuple[str, dict[str, str]]:
    """Return `name=value, ...` with a plain name in the place of each item's, and the items by these names."""
    parts, names, end = [], {}, 0
    for number, found in enumerate(_ITEM.finditer(without_texts(text))):
        names[f"{_STANDS_FOR}{number}"] = text[found.start(1) : found.end(1)]
        parts += [text[end : found.start()], f"{_STANDS_FOR}{number}="]
        end = found.end()
    return "".join([*parts, text[end:]]), names


def without_quotes(name: str) -> str:
    """Return the name of a task; an item's key may stand in quotes."""
    return re.sub(r"""\[(['"])(.*)\1\]""", r"[\2]", name)


def _functions(value: Any) -> Iterable[Any]:
    """Return the functions that a variable holds: one, a list of them, or a Toolbox."""
    if isinstance(value, Toolbox):
        return value.values()
    return value if isinstance(value, list | tuple) else [value]
