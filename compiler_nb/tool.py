"""Tools: functions with what a planner must know about them and what an engine must observe.

A Tool checks and binds its own arguments: simple types at once, all others through pydantic, which is imported when
the first argument needs it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from itertools import takewhile
from typing import Any, Literal, NamedTuple, TypeAlias, overload

from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.text import shorten, type_name

Thread: TypeAlias = Literal["pool", "main"]
Check: TypeAlias = Callable[[Any], Any]
"""Returns the value as the tool gets it; raises ValueError or TypeError with the reason."""

RESERVED = frozenset({"join", "answer"})
_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_MODULES = re.compile(r"(?<![\w.])(?:[^\W\d]\w*\.)+(?=[^\W\d])")
"""The names of modules in front of a type's own name; not the dots of `tuple[int, ...]`."""
_RETURNS = re.compile(
    r"""^(?: :returns?: | Returns?:(?=\s) | Returns?[ ]*\n-{3,}[ ]*\n )
        (?P<text>.*?) (?= \n:\w | \n\S[^\n]*\n-{3} | \n[A-Z]\w+:[ ]*\n | \n[ ]*\n(?![ ]) | \Z )""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
"""The part of a docstring that says what is returned, in the three common styles."""
_SAID = 300
_FIELDS = 40
"""Fields of a type that are shown."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameter(NamedTuple):
    """One parameter of a tool: its name, kind, whether it must be given, its annotation as text, and its check."""

    name: str
    kind: inspect._ParameterKind
    required: bool
    annotation: str
    check: Check | None


class Tool:
    """A function that plans may call; it stays callable.

    name: its name in plans; timeout: seconds for one attempt, None for no end; retries: further attempts after a
    failure; pure: equal arguments give equal values, so results may be cached; side_effects: it changes something
    outside, so it runs once, after approval, and never twice; thread: "pool", or "main" for what may not leave the
    main thread (a connection made in a cell, pyplot); provider: the provider whose limits its calls count against;
    max_concurrency: attempts of this tool at a time.
    Raises ToolError if the function cannot be a tool.
    """

    regular = True
    """Whether results have the same shape each time, so that planners may be told what it was."""

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
        self.function = function
        self.name = name or getattr(function, "__name__", "") or type(function).__name__
        self.timeout, self.retries, self.pure, self.side_effects = timeout, retries, pure, side_effects
        self.thread, self.provider, self.max_concurrency = thread, provider, max_concurrency
        self._validate()
        functools.update_wrapper(self, function, updated=())
        self.__name__ = self.name

    def _validate(self) -> None:
        name, function = self.name, self.function
        if not name.isidentifier() or name.startswith("_") or name in RESERVED:
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

    @functools.cached_property
    def is_async(self) -> bool:
        """Whether its own call returns a coroutine."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - an object's own async __call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    @functools.cached_property
    def _hints(self) -> dict[str, Any]:
        function = self.function if inspect.isroutine(self.function) else type(self.function).__call__
        while isinstance(function, functools.partial):
            function = function.func
        try:
            return typing.get_type_hints(function, include_extras=True)
        except Exception:  # noqa: BLE001 - a hint that cannot be resolved is no reason to refuse the tool
            return {}

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters in order."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError) as error:
            raise ToolError(f"{self.name} has no readable signature; wrap it in a function of your own") from error
        return tuple(self._parameter(parameter) for parameter in signature.parameters.values())

    def _parameter(self, parameter: inspect.Parameter) -> Parameter:
        hint = self._hints.get(parameter.name, Any)
        if parameter.default is None and hint is not Any:
            hint = typing.Optional[hint]  # noqa: UP045 - a hint may be anything, even text
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        text = "" if parameter.annotation is parameter.empty else spell_type(parameter.annotation)
        required = parameter.default is parameter.empty and not variable
        return Parameter(parameter.name, parameter.kind, required, text, make_check(hint))

    @functools.cached_property
    def signature(self) -> str:
        """One line: name, parameters with types and defaults, return type."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return f"{self.name}(...)"
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        shown = [_spell_parameter(parameter) for parameter in signature.parameters.values()]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        result = signature.return_annotation
        arrow = "" if result is signature.empty else f" -> {spell_type(result)}"
        return f"{self.name}({', '.join(shown)}){arrow}"

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

        adapter: Any = TypeAdapter(self.function)  # type: ignore[arg-type]  # it takes functions too
        return dict(adapter.json_schema())

    @property
    def returns(self) -> Any:
        """The type that its signature declares for its result; None if it declares none, or any."""
        hint = self._hints.get("return")
        return None if hint is Any or hint is object else hint

    # ---------------------------------------------------------------- arguments

    @functools.cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters}

    @functools.cached_property
    def _positional(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.kind in _POSITIONAL)

    @functools.cached_property
    def _rest(self) -> Parameter | None:
        return next((p for p in self.parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), None)

    @functools.cached_property
    def _named_rest(self) -> Parameter | None:
        return next((p for p in self.parameters if p.kind is inspect.Parameter.VAR_KEYWORD), None)

    def fit(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the number and the names of arguments, in words; an empty list if nothing is."""
        problems = []
        positional, rest = self._positional, self._rest
        if len(args) > len(positional) and rest is None:
            problems.append(f"takes at most {len(positional)} positional arguments, not {len(args)}")
        given = {p.name for p in positional[: len(args)]}
        for name in kwargs:
            if name in given:
                problems.append(f"gets {name!r} twice")
            elif name not in self._by_name and self._named_rest is None:
                problems.append(f"has no argument {name!r}")
        missing = [p.name for p in self.parameters if p.required and p.name not in given and p.name not in kwargs]
        if missing:
            problems.append(f"needs {', '.join(missing)}")
        return problems

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments as the function gets them: named ones in their places, types as declared.

        A value is converted only if nothing is lost (1 to 1.0, a dict to the model that it describes). Raises
        ArgumentError if it cannot be converted, or if arguments are missing, unknown or too many.
        """
        positional = self._positional
        if not kwargs and len(args) == len(positional) == len(self.parameters):  # nearly all calls
            return tuple(map(self._checked, positional, args)), kwargs
        problems = self.fit(args, kwargs)
        if problems:
            raise ArgumentError(f"{self.name} {'; '.join(problems)}: {self.signature}")
        rest = self._rest
        if rest is not None and rest.name in kwargs:  # JSON gives a var-positional parameter by its name, as a list
            args, kwargs = self._spread(rest, args, dict(kwargs))
        bound = [self._checked(self.parameter_of(position), value) for position, value in enumerate(args)]
        named = {name: self._checked(self.parameter_of(name), value) for name, value in kwargs.items()}
        # Only up to a gap: behind one, a value would go to the parameter before its own.
        unnamed = takewhile(lambda p: p.kind is p.kind.POSITIONAL_ONLY and p.name in named, positional[len(bound) :])
        bound += [named.pop(p.name) for p in unnamed]
        return tuple(bound), named

    def _spread(
        self, rest: Parameter, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        more = kwargs.pop(rest.name)
        if not isinstance(more, list | tuple):
            raise ArgumentError(f"{self.name}: {rest.name!r} is a list of arguments, not {type(more).__name__}")
        if not more:
            return args, kwargs
        named = list(self._positional[len(args) :])
        absent = [p.name for p in named if p.name not in kwargs]
        if absent:
            raise ArgumentError(f"{self.name}: give {', '.join(absent)} before {rest.name!r}")
        return (*args, *(kwargs.pop(p.name) for p in named), *more), kwargs

    def _checked(self, parameter: Parameter | None, value: Any) -> Any:
        if parameter is None or parameter.check is None:
            return value
        try:
            return parameter.check(value)
        except (ValueError, TypeError) as error:
            raise ArgumentError(f"{self.name}: {parameter.name!r} {error}") from None

    def parameter_of(self, position: int | str) -> Parameter | None:
        """Return the parameter that an argument at this position, or of this name, goes to."""
        if isinstance(position, str):
            return self._by_name.get(position, self._named_rest)
        return self._positional[position] if position < len(self._positional) else self._rest


# -------------------------------------------------------------------- types


def spell_type(annotation: Any) -> str:
    """Return a type as a planner reads it: `list[str]`, `DataFrame`, without module names."""
    if isinstance(annotation, str):
        return annotation
    if type(annotation) is not types.GenericAlias and isinstance(annotation, type):
        return annotation.__name__
    return " ".join(_MODULES.sub("", str(annotation)).split())


def describe_type(hint: Any, levels: int = 2, *, only: Callable[[str], bool] | None = None) -> str:
    """Return a type with the fields that it declares: `list[Order]` as `[{order_id: str, lines: [{sku: str}]}]`.

    levels: of fields within each other; only: a type with a field that this refuses is shown by its name.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return describe_type(args[0], levels, only=only)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe_type(each, levels, only=only) for each in args)
    if origin in _LISTS and args:
        inner = describe_type(args[0], levels, only=only)
        return f"[{inner}]" if origin is not tuple or args[1:] == (...,) else spell_type(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:  # noqa: PLR2004 - key and value
        return f"dict of {spell_type(args[0])} to {describe_type(args[1], levels, only=only)}"
    fields = _fields_of(hint) if levels and isinstance(hint, type) else {}
    if not fields or not all(map(only or bool, fields)):
        return "None" if hint is type(None) and only is None else spell_type(hint)
    shown = [f"{name}: {describe_type(each, levels - 1, only=only)}" for name, each in list(fields.items())[:_FIELDS]]
    shown += ["…"] if len(fields) > _FIELDS else []
    return f"{{{', '.join(shown)}}}" if typing.is_typeddict(hint) else f"{hint.__name__}({', '.join(shown)})"


_LISTS = (list, tuple, set, frozenset, *(getattr(collections.abc, name) for name in ("Sequence", "Iterable", "Set")))


def _fields_of(kind: type) -> dict[str, Any]:
    """Return what a TypedDict, NamedTuple, dataclass, pydantic or attrs class declares; nothing for other types.

    A field that may be absent has a question mark behind its name.
    """
    known: Any = getattr(kind, "model_fields", None) or getattr(kind, "__attrs_attrs__", None)
    if is_dataclass(kind):
        names = [each.name for each in dataclasses.fields(kind)]
    elif issubclass(kind, tuple):
        names = list(getattr(kind, "_fields", ()))
    elif typing.is_typeddict(kind):
        names = list(kind.__annotations__)
    elif isinstance(known, dict | tuple):
        names = list(known) if isinstance(known, dict) else [each.name for each in known]
    else:
        return {}
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint that cannot be resolved
        hints = {}
    absent: frozenset[str] = getattr(kind, "__optional_keys__", frozenset())
    fields = {}
    for name in names:
        hint = hints.get(name, Any)
        origin = typing.get_origin(hint)  # the class itself does not know this of hints that were text
        may_lack = origin is typing.NotRequired or (name in absent and origin is not typing.Required)
        fields[f"{name}?" if may_lack else name] = hint
    return fields


def _spell_parameter(parameter: inspect.Parameter) -> str:
    hint = "" if parameter.annotation is parameter.empty else f": {spell_type(parameter.annotation)}"
    default = "" if parameter.default is parameter.empty else f" = {shorten(repr(parameter.default), 60)}"
    return f"{_STARS.get(parameter.kind, '')}{parameter.name}{hint}{default}"


def make_check(hint: Any) -> Check | None:
    """Return the check of a type, or None if any value is accepted."""
    if hint is Any or hint is object or hint is None or isinstance(hint, typing.TypeVar):
        return None
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if typing.get_origin(hint) is Literal:
        return functools.partial(_one_of, typing.get_args(hint))
    if isinstance(hint, type) and not hasattr(hint, "__pydantic_validator__") and _is_opaque(hint):
        return functools.partial(_instance, hint)
    return _Adapter(hint)


def _is_opaque(hint: type) -> bool:
    """Whether only `isinstance` can check values of a class (a DataFrame, a connection)."""
    known = ("datetime", "decimal", "uuid", "pathlib", "enum", "collections", "ipaddress", "fractions")
    structured = is_dataclass(hint) or hasattr(hint, "__annotations__") or issubclass(hint, tuple | dict | list)
    return not structured and not any(base.__module__ in known for base in hint.__mro__[:-1])


def _instance(hint: type, value: Any) -> Any:
    if isinstance(value, hint):
        return value
    raise TypeError(f"is a {hint.__name__}, not {_name(value)}")


def _one_of(allowed: tuple[Any, ...], value: Any) -> Any:
    if any(type(value) is type(each) and value == each for each in allowed):
        return value
    shown = shorten(repr(value), 40) if isinstance(value, str) else _name(value)
    raise TypeError(f"is one of {', '.join(map(repr, allowed))}, not {shown}")


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max and float(value) == value:
            return float(value)
        raise ValueError("is an integer too large for a float")
    raise TypeError(f"is a number, not {_name(value)}")


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise TypeError(f"is a whole number, not {_name(value)}")


def _name(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float):
        return shorten(repr(value), 40)
    return type_name(value)


_SIMPLE: dict[Any, Check] = {
    str: functools.partial(_instance, str),
    bool: functools.partial(_instance, bool),
    int: _integer,
    float: _number,
    list: functools.partial(_instance, list),
    dict: functools.partial(_instance, dict),
    tuple: functools.partial(_instance, tuple),
    set: functools.partial(_instance, set),
    bytes: functools.partial(_instance, bytes),
}


@dataclass
class _Adapter:
    """A check by pydantic, made when it is first used: strict first, then with conversions that lose nothing."""

    hint: Any

    @functools.cached_property
    def adapter(self) -> Any:
        from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415 - imported at first use
        from pydantic.errors import PydanticUserError  # noqa: PLC0415

        try:
            return TypeAdapter(self.hint, config=ConfigDict(arbitrary_types_allowed=True))
        except PydanticUserError:  # a type with a configuration of its own takes no other
            return TypeAdapter(self.hint)

    def __call__(self, value: Any) -> Any:
        from pydantic import ValidationError  # noqa: PLC0415 - imported at first use

        try:
            return self.adapter.validate_python(value, strict=True)
        except ValidationError:
            pass
        try:
            if isinstance(value, bool):
                raise TypeError(f"is {spell_type(self.hint)}, not {value!r}")
            return self.adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = "".join(f"[{part!r}]" for part in first["loc"])
            raise TypeError(f"is {spell_type(self.hint)}: {place} {first['msg']}".replace(":  ", ": ")) from None


# -------------------------------------------------------------------- making tools


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
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

    Schema and description come from the signature, the hints and the docstring; the options are those of `Tool`.
    """
    if function is not None:
        return Tool(function)
    return functools.partial(Tool, **options)


class Toolbox(Mapping[str, Tool]):
    """Tools by name, in a fixed order; plain functions are wrapped.

    Raises ToolError if they are not a list or dict of functions, or if two of them have the same name.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] | Mapping[str, Any] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        if not isinstance(tools, Iterable):
            raise ToolError(f"tools must be a list of functions, such as [weather], not a {type(tools).__name__}")
        for each in tools.values() if isinstance(tools, Mapping) else tools:
            made = each if isinstance(each, Tool) else Tool(each)
            if self._tools.get(made.name, made) is not made:
                raise ToolError(f"two tools are called {made.name!r}; rename one: @tool(name='...')")
            self._tools[made.name] = made

    def __getitem__(self, name: str) -> Tool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolbox({', '.join(self._tools)})"

    def plus(self, other: Toolbox) -> Toolbox:
        """Return a toolbox with the tools of both; if a name is in both, the tool of this one is kept."""
        return Toolbox([*self.values(), *(tool for name, tool in other.items() if name not in self)])

    @property
    def description(self) -> str:
        """What a planner reads about them, two lines each."""
        return "\n".join(each.description for each in self.values())
