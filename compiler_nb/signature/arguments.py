"""The parameters of a function: as a planner reads them, and as the arguments of a call are bound to them."""

from __future__ import annotations

import enum
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from compiler_nb.errors import ArgumentError, ToolError
from compiler_nb.signature.checks import Check, make_check
from compiler_nb.signature.types import spell_type
from compiler_nb.text import count_of, shorten

_STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameter(NamedTuple):
    """One parameter of a tool: name, kind, whether it must be given, annotation as text, check, and type."""

    name: str
    kind: inspect._ParameterKind
    required: bool
    annotation: str
    check: Check | None
    hint: Any = Any


class Signature:
    """What a function of this name takes and returns; `bind` checks and binds the arguments of one call."""

    # What an engine reads for each call has slots, because CPython reads them fast.
    __slots__ = ("__dict__", "__weakref__", "function", "name")

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name

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
    def _inspected(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters in order."""
        try:
            declared = self._inspected.parameters.values()
        except (TypeError, ValueError) as error:
            raise ToolError(f"{self.name} has no readable signature; wrap it in a function of your own") from error
        return tuple(self._parameter(parameter) for parameter in declared)

    @property
    def positional(self) -> tuple[str, ...]:
        """The names of those that positional arguments are for, in order; () if its signature cannot be read."""
        try:
            return tuple(each.name for each in self._positional)
        except ToolError:
            return ()

    def _parameter(self, parameter: inspect.Parameter) -> Parameter:
        hint = self._hints.get(parameter.name, Any)
        if parameter.default is None and hint is not Any:
            hint = typing.Optional[hint]  # noqa: UP045 - a hint may be anything, even text
        variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        annotation = self._resolved(parameter.annotation, parameter.name)
        text = "" if annotation is parameter.empty else spell_type(annotation)
        required = parameter.default is parameter.empty and not variable
        return Parameter(parameter.name, parameter.kind, required, text, make_check(hint), hint)

    @functools.cached_property
    def signature(self) -> str:
        """One line: name, parameters with types and defaults, return type."""
        try:
            signature = self._inspected
        except (TypeError, ValueError):
            return f"{self.name}(...)"
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        shown = [self._spell(parameter) for parameter in signature.parameters.values()]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        result = signature.return_annotation
        arrow = "" if result is signature.empty else f" -> {spell_type(self._resolved(result, 'return'))}"
        return f"{self.name}({', '.join(shown)}){arrow}"

    def _spell(self, parameter: inspect.Parameter) -> str:
        hint, default = self._resolved(parameter.annotation, parameter.name), parameter.default
        given = default.value if isinstance(default, enum.Enum) else default  # as a plan writes it
        return (
            f"{_STARS.get(parameter.kind, '')}{parameter.name}"
            f"{'' if hint is parameter.empty else f': {spell_type(hint)}'}"
            f"{'' if default is parameter.empty else f' = {shorten(repr(given), 60)}'}"
        )

    def _resolved(self, annotation: Any, name: str) -> Any:
        """Return an annotation; one that is text, and says more than the type, as the type that it means."""
        is_text = isinstance(annotation, str) and "Annotated[" in annotation
        return self._hints.get(name, annotation) if is_text else annotation

    @property
    def returns(self) -> Any:
        """The type that its signature declares for its result; None if it declares none, or any."""
        hint = self._hints.get("return")
        return None if hint is Any or hint is object else hint

    @functools.cached_property
    def _by_name(self) -> dict[str, Parameter]:
        return {p.name: p for p in self.parameters}

    @functools.cached_property
    def _positional(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.kind in _POSITIONAL)

    @functools.cached_property
    def _in_order(self) -> tuple[Parameter, ...] | None:
        """The parameters if all of them may be given by position; None otherwise."""
        return self.parameters if len(self._positional) == len(self.parameters) else None

    @functools.cached_property
    def _checks(self) -> tuple[Callable[[Any], Any] | None, ...]:
        """What checks each argument, None if nothing does."""
        return tuple(p.check for p in self.parameters)

    @functools.cached_property
    def _has_checks(self) -> bool:
        return any(self._checks)

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
            problems.append(f"takes at most {count_of(len(positional), 'positional argument')}, not {len(args)}")
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
        """Return the arguments as the function gets them: named ones at their positions, types as declared.

        A value is converted only if nothing is lost (1 to 1.0, a dict to the model that it describes). Raises
        ArgumentError if it cannot be converted, or if arguments are missing, unknown or too many.
        """
        in_order = self._in_order
        if not kwargs and in_order is not None and len(args) == len(in_order):  # nearly all calls
            if not self._has_checks:
                return args, kwargs
            try:
                pairs = zip(self._checks, args)  # noqa: B905 - as many, and `strict` takes as long as three checks
                return tuple([check(value) if check else value for check, value in pairs]), kwargs
            except (ValueError, TypeError):
                return tuple(map(self._checked, in_order, args)), kwargs  # it says which is wrong, and why
        problems = self.fit(args, kwargs)
        if problems:
            raise ArgumentError(f"{self.name} {'; '.join(problems)}: {self.signature}")
        rest = self._rest
        if rest is not None and rest.name in kwargs:  # JSON gives a var-positional parameter by its name, as a list
            args, kwargs = self._spread(rest, args, dict(kwargs))
        bound = [self._checked(self.parameter_of(position), value) for position, value in enumerate(args)]
        named = {name: self._checked(self.parameter_of(name), value) for name, value in kwargs.items()}
        # Only up to a gap: behind one, a value would go to the parameter before its own.
        unnamed = takewhile(
            lambda p: p.kind is p.kind.POSITIONAL_ONLY and p.name in named, self._positional[len(bound) :]
        )
        bound += [named.pop(p.name) for p in unnamed]
        return tuple(bound), named

    def _spread(
        self, rest: Parameter, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        more = kwargs.pop(rest.name)
        if not isinstance(more, list | tuple):
            raise ArgumentError(f"{self.name}: {rest.name!r} must be a list of arguments, not {type(more).__name__}")
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
