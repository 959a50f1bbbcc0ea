"""Tools: functions with what a planner must know about them and what an engine must observe."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from keyword import iskeyword
from types import FunctionType, ModuleType
from typing import Any, Literal, TypeAlias, overload

from compiler_nb.errors import ToolError
from compiler_nb.signature.arguments import Signature
from compiler_nb.signature.checks import checkable
from compiler_nb.signature.names import fault_of_name, is_plain
from compiler_nb.signature.types import describe_type
from compiler_nb.text import shorten

Thread: TypeAlias = Literal["pool", "main"]

RESERVED = frozenset({"join", "answer"})
_RETURNS = re.compile(
    r"""^(?: :returns?: | Returns?:(?=\s) | Returns?[ ]*\n-{3,}[ ]*\n )
        (?P<text>.*?) (?= \n:\w | \n\S[^\n]*\n-{3} | \n[A-Z]\w+:[ ]*\n | \n[ ]*\n(?![ ]) | \Z )""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""The part of a docstring that says what is returned, in the three common styles."""
_SAID = 300


class Tool(Signature):
    """A function that plans may call; it stays callable.

    name: its name in plans; timeout: seconds for one attempt, None means no limit; retries: further attempts after a
    failure; pure: equal arguments give equal values, so results may be cached; side_effects: it changes something
    outside, so it runs once, after approval, and never twice; thread: "pool", or "main" for what may not leave the
    main thread (a connection made in a cell, pyplot); provider: the provider whose limits its calls count against;
    max_concurrency: attempts of this tool at a time.
    Raises ToolError if the function cannot be a tool.
    """

    __slots__ = (
        "max_concurrency", "provider", "pure", "retries", "runs_on", "side_effects", "thread", "timeout",
    )  # fmt: skip
    regular = True
    """Whether results have the same shape each time, so that planners may be told what it was."""
    server: str | None = None
    """The name of the server that performs its calls; None if it is a function of this process."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        timeout: float | None = 300.0,
        retries: int = 0,
        pure: bool = False,
        side_effects: bool = False,
        thread: Thread = "pool",
        provider: str | None = None,
        max_concurrency: int | None = None,
    ) -> None:
        if not callable(function):
            raise ToolError(f"a tool is made of a function, not of {type(function).__name__}")
        super().__init__(function, name or getattr(function, "__name__", "") or type(function).__name__)
        self.timeout, self.retries, self.pure, self.side_effects = timeout, retries, pure, side_effects
        self.thread, self.provider, self.max_concurrency = thread, provider, max_concurrency
        call = getattr(function, "__call__", None)  # noqa: B004 - an object's own async __call__
        is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        self.runs_on = "async" if is_async else thread  # which of an engine's runners performs its calls
        self._validate()
        functools.update_wrapper(self, function, updated=())
        self.__name__ = self.name

    def _validate(self) -> None:
        name, function = self.name, self.function
        if fault := fault_of_name(name):
            raise ToolError(f"{fault.what}, so no plan can call this tool; {fault.fix}: @tool(name='...')")
        if not is_plain(name) or iskeyword(name) or name in RESERVED:
            raise ToolError(f"{name!r} cannot be a tool's name; give another: @tool(name='...')")
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise ToolError(f"{name} yields its values one by one; let it return a list instead")
        if self.thread not in ("pool", "main"):
            raise ToolError(f"{name}: thread must be 'pool' or 'main', not {self.thread!r}")
        if self.side_effects and (self.retries or self.pure):
            raise ToolError(f"{name} has side effects, so it cannot be pure or tried again: leave out pure and retries")
        if self.timeout is not None and not self.timeout > 0:
            raise ToolError(f"{name}: timeout must be a number of seconds above 0, or None")
        if self.retries < 0 or (self.max_concurrency is not None and self.max_concurrency < 1):
            raise ToolError(f"{name}: retries must be 0 or more, and max_concurrency 1 or more")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as if it were not a tool."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.signature}>"

    @property
    def is_async(self) -> bool:
        """Whether its own call returns a coroutine."""
        return self.runs_on == "async"

    @property
    def stateless(self) -> bool:
        """Whether no side effect changes what it returns, so that it need not wait for those above it in a plan."""
        return self.pure

    def newest(self) -> Tool:
        """Return the tool as its module defines it now, if that was loaded again since; else itself.

        Only what stands in the module under the function's own name counts, a function or a Tool, and only if it has
        decorators as the function has. A tool with side effects keeps its options if the new one says nothing of any.
        """
        function = self.function
        found = _defined(function) if type(self) is Tool and type(function) is FunctionType else None
        made = found.function if type(found) is Tool else found
        if type(made) is not FunctionType or made is function or _is_wrapped(made) != _is_wrapped(function):
            return self
        if type(found) is Tool and found.name == self.name and (found.side_effects or not self.side_effects):
            return found
        return Tool(
            made, name=self.name, timeout=self.timeout, retries=self.retries, pure=self.pure, thread=self.thread,
            side_effects=self.side_effects, provider=self.provider, max_concurrency=self.max_concurrency,
        )  # fmt: skip

    @functools.cached_property
    def purpose(self) -> str:
        """The first sentence of its docstring, and whether it has side effects."""
        before = _RETURNS.split(self._doc, maxsplit=1)[0]
        first = " ".join(before.strip().split("\n\n", 1)[0].split())
        return " ".join(part for part in (first, "Has side effects." if self.side_effects else "") if part)

    @functools.cached_property
    def _doc(self) -> str:
        return inspect.cleandoc(getattr(self.function, "__doc__", None) or "")

    @functools.cached_property
    def result(self) -> str:
        """What it returns, as far as it says so: the fields of its return type, and its docstring's "Returns"."""
        fields = "" if self.returns is None else describe_type(self.returns)
        found = _RETURNS.search(self._doc)
        said = " ".join(found["text"].split()) if found else ""
        shown = "" if self.returns is None or fields == describe_type(self.returns, 0) else fields
        return "; ".join(part for part in (shown, shorten(said, _SAID)) if part)

    @property
    def description(self) -> str:
        """What the planner reads: a line each for the signature, the purpose, and the result if it is described."""
        return "\n    ".join(filter(None, (self.signature, self.purpose, self.result and f"returns {self.result}")))

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its arguments, by pydantic."""
        from pydantic import TypeAdapter  # noqa: PLC0415 - imported at first use
        from pydantic.errors import PydanticUserError  # noqa: PLC0415

        try:
            adapter: Any = TypeAdapter(self.function)  # type: ignore[arg-type]  # it takes functions too
        except PydanticUserError:  # typing's TypedDict before Python 3.12
            adapter = TypeAdapter(self._stand_in())
        return dict(adapter.json_schema())

    def _stand_in(self) -> Any:
        """Return a function with the same parameters, of types that pydantic reads on every Python."""
        hints = {each.name: checkable(each.hint) for each in self.parameters}
        signature = inspect.signature(self.function)
        named = [each.replace(annotation=hints[name]) for name, each in signature.parameters.items()]

        def stand_in(*_: Any, **__: Any) -> None: ...

        stand_in.__signature__ = signature.replace(parameters=named, return_annotation=Any)  # type: ignore[attr-defined]
        stand_in.__annotations__ = hints
        return stand_in


def _defined(function: FunctionType) -> Any:
    """Return what stands in a function's module under its name now; None in a notebook or a script itself."""
    if function.__module__ == "__main__":  # there, whoever defines a name anew still has what was meant before
        return None
    found: Any = sys.modules.get(function.__module__)
    for name in function.__qualname__.split("."):
        found = vars(found).get(name) if isinstance(found, ModuleType | type) else None
    return found


def _is_wrapped(function: Callable[..., Any]) -> bool:
    return "__wrapped__" in vars(function)


@overload
def tool(function: Callable[..., Any], /, **options: Any) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    timeout: float | None = 300.0,
    retries: int = 0,
    pure: bool = False,
    side_effects: bool = False,
    thread: Thread = "pool",
    provider: str | None = None,
    max_concurrency: int | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function, sync or async: `@tool` or `@tool(timeout=5, side_effects=True)`.

    Schema and description come from the signature, the hints and the docstring.

    options: name: its name in plans. Defaults to the function's. timeout: seconds for one attempt. Defaults to 300,
    None means no limit. retries: further attempts after a failure. pure: equal arguments give equal values.
    side_effects: it changes something outside, so it runs once, after approval. thread: "main" if it needs the main
    thread. provider: whose limits its calls count against. max_concurrency: attempts at a time. See `help(Tool)`.
    """
    if function is not None:
        return Tool(function, **options)
    return functools.partial(Tool, **options)


class Toolbox(Mapping[str, Tool]):
    """Tools by name, in a fixed order.

    tools: functions, which are wrapped, and Tools: a list of them, or a dict whose names do not count; lists of them
    may stand in a list.
    Raises ToolError if they are not a list or dict of functions, or if two of them have the same name.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] | Mapping[str, Any] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        if not isinstance(tools, Iterable):
            raise ToolError(f"tools must be a list of functions, such as [weather], not a {type(tools).__name__}")
        for each in _each_of(tools):
            made = each if isinstance(each, Tool) else Tool(each)
            if (known := self._tools.get(made.name, made)) is not made:
                raise ToolError(f"two tools are called {made.name!r}; {_way_out(known, made)}")
            self._tools[made.name] = made

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolbox({', '.join(self._tools)})"

    def newest(self) -> Toolbox:
        """Return the tools as their modules define them now; itself if none was loaded again."""
        newest = {name: each.newest() for name, each in self.items()}
        return self if newest == self._tools else Toolbox(newest)

    def plus(self, other: Toolbox) -> Toolbox:
        """Return a toolbox with the tools of both; if a name is in both, the tool of this one is kept."""
        return Toolbox([*self.values(), *(tool for name, tool in other.items() if name not in self)])

    def grammar(
        self,
        dialect: str,
        inputs: Collection[str] = (),
        form: Literal["gbnf", "json_schema", "lark", "strict_schema"] = "gbnf",
        lines: int = 12,
        *,
        earlier: Collection[str] = (),
        first: int = 1,
        least: int = 0,
    ) -> str:
        """Return the grammar of the plans that call these tools, for an engine that holds a model to it.

        dialect: "python" (its core), "numbered" or "json"; inputs: the names of the offered variables; form: "gbnf"
        for llama.cpp and vLLM, "lark" for llguidance, "json_schema" for the dialect json, "strict_schema" for OpenAI's
        strict mode, which says less; lines, least: most and fewest lines before the last; earlier: names of results of
        earlier rounds, behind which the lines begin with the number `first`. `compiler_nb.grammar.plans` lists what it
        leaves out and what it cannot say.
        Raises ValueError if a form cannot say a dialect, or if an input has a name that no plan can write; OptionError
        if another argument is of a wrong kind, or out of bounds.
        """
        from compiler_nb.grammar.plans import print_grammar  # noqa: PLC0415 - plans know tools, not the other way
        from compiler_nb.grammar.spelling import Leeway  # noqa: PLC0415 - as above

        return print_grammar(self, dialect, form, Leeway(inputs, earlier, lines, least, first))

    @property
    def description(self) -> str:
        """What a planner reads about them, two lines each."""
        return "\n".join(each.description for each in self.values())


def _each_of(tools: Iterable[Any]) -> Iterator[Any]:
    """Yield what a list or a dict holds, and what lists in it hold."""
    for each in tools.values() if isinstance(tools, Mapping) else tools:
        if isinstance(each, list | tuple | Toolbox):
            yield from _each_of(each)
        else:
            yield each


def _way_out(*tools: Tool) -> str:
    """Return how two tools of one name get two names."""
    server = next((each.server for each in reversed(tools) if each.server), None)
    if server is None:
        return "rename one: @tool(name='...')"
    return f"begin those of the server {server!r} otherwise: mcp_tools(..., prefix='{server.lower()[:20]}_')"
