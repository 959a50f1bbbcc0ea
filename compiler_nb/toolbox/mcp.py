"""The tools of MCP servers: `mcp_tools` lists those of one, and each is a Tool that plans may call."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from keyword import iskeyword
from typing import Any, Final, NamedTuple, Self, overload
from urllib.parse import urlsplit

from compiler_nb.engine.background import Background
from compiler_nb.errors import ToolError
from compiler_nb.operations.functions import FUNCTIONS
from compiler_nb.signature.schemas import SchemaFault, hint_of, spell_name
from compiler_nb.text import cut, shorten, suggest
from compiler_nb.tool import RESERVED, Tool
from compiler_nb.toolbox.mcp_server import Server, label_of
from compiler_nb.toolbox.mcp_tool import McpTool

WORDS: Final = frozenset({*FUNCTIONS, *RESERVED, "llm", "extract", "calculate", "frames"})
"""Names that already mean something in plans."""
LONGEST: Final = 200_000
"""Characters of a tool's schemas as JSON."""
SHOWN: Final = 30
"""Tools that a repr lists."""
LISTING: Final = Background()
"""The loop on which servers are asked for their tools, while the caller of `mcp_tools` waits."""
NAMED: Final = 60
"""Characters of the name that a server gives itself that are kept."""

# -------------------------------------------------------------------- the tools of a server


class McpTools(tuple[Tool, ...]):  # noqa: SLOT001 - a tuple can have none that hold anything
    """The tools of one server, in its order: by number, or by name: `tools["search"]`. server, version: as it says."""

    server: str
    version: str

    def __new__(cls, tools: Iterable[Tool], server: str, version: str) -> Self:
        """Make the tuple, and note the server."""
        made = super().__new__(cls, tools)
        made.server, made.version = server, version
        return made

    @overload  # type: ignore[override]
    def __getitem__(self, key: str | int) -> Tool: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Tool, ...]: ...
    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for each in self:
            if each.name == key:
                return each
        raise KeyError(f"the server {self.server!r} has no tool {key!r}.{suggest(key, self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """What plans call the tools."""
        return tuple(each.name for each in self)

    def __repr__(self) -> str:
        shown = [f"    {_line(each)}" for each in self[:SHOWN]]
        more = [f"    … {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
        version = f" {self.version}" if self.version else ""
        return "\n".join([f"<{len(self):,} tools of {self.server}{version}", *shown, *more]) + ">"


def _line(tool: Tool) -> str:
    title = getattr(tool, "title", tool.name)
    notes = [f"{title!r} there"] * (title != tool.name) + ["has side effects"] * tool.side_effects
    return f"{tool.signature}   # {', '.join(notes)}" if notes else tool.signature


def mcp_tools(
    command: Sequence[str] = (),
    *,
    url: str = "",
    name: str = "",
    env: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    prefix: str = "",
    side_effects: bool | Mapping[str, bool] | None = None,
    pure: Collection[str] = (),
    timeout: float | None = 300.0,
    retries: int = 0,
    max_concurrency: int | None = None,
    connect_timeout: float = 30.0,
) -> McpTools:
    """Return the tools of an MCP server: `mcp_tools(command=["python", "server.py"])`, or `mcp_tools(url="http://...")`.

    The server is asked for its tools now, for which it is started and ended again. In a run the first call of one of
    them starts it, all calls of the run share it, and it ends with the run.

    command: starts the server, which talks over its standard input and output. url: the address of one that speaks
    streamable HTTP. name: what it is called here. Defaults to what it calls itself. env: variables for the command
    beside PATH, HOME and the like. headers: for the address, such as {"Authorization": "Bearer ..."}. cwd: the folder
    that the command runs in. prefix: what the names of the tools begin with.
    side_effects: whether the tools have any, for all, or by name. Defaults to what the server says: those without its
    hint that they only read count as having some, so that they need approval. pure: names of those of which equal
    arguments give equal values. timeout, max_concurrency: of each tool. retries: of those without side effects.
    connect_timeout: seconds in which the server must have started and listed its tools.

    A tool whose schema is wrong is left out, with a warning. In an async program that serves others meanwhile write
    `await asyncio.to_thread(mcp_tools, ...)`. Raises ToolUnavailable if the server cannot be reached, ToolError if an
    argument is wrong.
    """
    place = _place(command, url, env=env, headers=headers, cwd=cwd, seconds=connect_timeout)
    listed, (own, version), left_out = LISTING.run(_list(place))
    place = dataclasses.replace(place, label=name or cut(" ".join(own.split()), NAMED) or place.label)
    options = _Options(side_effects, frozenset(pure), retries, {"timeout": timeout, "max_concurrency": max_concurrency})
    options.check([str(each.name) for each in listed])
    made: dict[str, Tool] = {}
    for each in listed:
        spelled = _spell(prefix, str(each.name), place.label, made)
        try:
            _check_output(each, left_out)
            made[spelled] = _make(place, each, (own, version), spelled, options)
        except (SchemaFault, ToolError) as fault:
            left_out.append(f"the tool {each.name!r}: {fault}")
    for what in left_out:
        warnings.warn(f"{place.label}: left out {shorten(what, 300)}", stacklevel=2)
    return McpTools(made.values(), place.label, version)


def _place(
    command: Sequence[str],
    url: str,
    *,
    env: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    seconds: float,
) -> Server:
    """Return how to reach a server; raises ToolError if what is given does not say it."""
    if bool(command) == bool(url):
        raise ToolError('mcp_tools takes either command=["python", "server.py"] or url="http://..."')
    if isinstance(command, str):
        raise ToolError(f"command must be a list, such as {command.split()}, not a text")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
        raise ToolError("url must be an address that begins with http:// or https://")
    if unfit := "headers" if command and headers else "env" if url and env else "cwd" if url and cwd else "":
        how = "started" if command else "asked at an address"
        raise ToolError(f"{unfit}= does not apply to a server that is {how}: leave it out")
    words = tuple(map(str, command))
    folder = None if cwd is None else os.fspath(cwd)
    return Server(label_of(words, url), words, url, dict(env or {}), dict(headers or {}), folder, seconds)


async def _list(place: Server) -> tuple[list[Any], tuple[str, str], list[str]]:
    """Return the tools that a server lists, its name and version, and what it lists that is not a valid tool."""
    async with place.connect() as connection:
        return await connection.tools(), connection.identity, connection.inspector.left_out


def _check_output(listed: Any, left_out: list[str]) -> None:
    """Remove what a tool says of its result if that cannot be read: its calls may be useful all the same."""
    try:
        hint_of(True if listed.output_schema is None else listed.output_schema)
    except SchemaFault as fault:
        left_out.append(f"what the tool {listed.name!r} says of its result: {fault}")
        listed.output_schema = None


class _Options(NamedTuple):
    """What the user says of tools, by the server's names for them."""

    effects: bool | Mapping[str, bool] | None
    pure: frozenset[str]
    retries: int
    plain: dict[str, Any]

    def check(self, names: Collection[str]) -> None:
        """Raise ToolError if the server has no tool of one of these names."""
        named = [*self.pure, *(self.effects if isinstance(self.effects, Mapping) else ())]
        for each in named:
            if each not in names:
                raise ToolError(f"the server has no tool {each!r}.{suggest(each, names)}")

    def of(self, listed: Any) -> dict[str, Any]:
        """Return the options of a tool."""
        title = str(listed.name)
        chosen = self.effects.get(title) if isinstance(self.effects, Mapping) else self.effects
        if chosen is None:
            chosen = not (listed.annotations is not None and listed.annotations.read_only_hint is True)
            chosen = chosen and title not in self.pure
        retries = 0 if chosen else self.retries
        return {**self.plain, "side_effects": chosen, "pure": title in self.pure, "retries": retries}


def _make(place: Server, listed: Any, identity: tuple[str, str], name: str, options: _Options) -> Tool:
    try:
        length = len(json.dumps([listed.input_schema, listed.output_schema]))
    except RecursionError:
        raise SchemaFault("its schema nests too deeply") from None
    if length > LONGEST:
        raise SchemaFault(f"its schema has {length:,} characters; {LONGEST:,} is the limit")
    return McpTool(place, listed, identity, name, **options.of(listed))


def _spell(prefix: str, title: str, server: str, taken: Mapping[str, Any]) -> str:
    """Return what plans call a tool: its own name if they can write it, and if it means nothing else there."""
    plain = spell_name(f"{prefix}{title}", other="tool")
    if plain in WORDS or iskeyword(title):
        plain = spell_name(f"{server}_{title}", other="tool")
    return spell_name(plain, taken)
