"""One tool of an MCP server: its signature from the server's schemas, and its calls over the run's session with it."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from compiler_nb.engine.call import CURRENT
from compiler_nb.engine.prints import PRINTS
from compiler_nb.engine.resources import resources_for_a_call
from compiler_nb.errors import ServerLost, ToolError
from compiler_nb.models.secret import Secret
from compiler_nb.signature.schemas import Argument, arguments_of, hint_of
from compiler_nb.text import cut, shorten
from compiler_nb.tool import Tool
from compiler_nb.toolbox.mcp_server import Server, Tell
from compiler_nb.toolbox.mcp_values import to_error, to_json, to_value

SAID: Final = 1_000
"""Characters of a tool's description that are kept."""
PAUSE: Final = 0.2
"""Seconds between two lines about how far a call has come."""


class McpTool(Tool):
    """A tool of an MCP server. server: the server's name; title: what the server calls the tool.

    A call goes over the session that the run has with the server, which the first call opens.
    """

    def __init__(self, place: Server, listed: Any, identity: tuple[str, str], name: str, **options: Any) -> None:
        self.place, self.title, self.server = place, str(listed.name), place.label
        self._arguments = arguments_of(listed.input_schema)
        self._output = listed.output_schema
        self._wrapped = _is_wrapped(listed.output_schema)
        told = json.dumps(
            [*place.known_by, *identity, self.title, listed.input_schema, listed.output_schema], sort_keys=True
        )
        self.hash = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        super().__init__(self._function(listed.description or "", name), name=name, **options)

    def _function(self, doc: str, name: str) -> Any:
        """Return a function with the signature that the schemas describe."""
        spelled = {each.parameter.name: each for each in self._arguments}

        async def call(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(spelled, args, strict=False)) | kwargs
            return await self._call(self._sent(given, spelled))

        hints: dict[str, Any] = {key: each.parameter.annotation for key, each in spelled.items()}
        returns = inspect.Signature.empty
        if self._output is not None:
            returns = hints["return"] = self._returned()
        call.__name__ = call.__qualname__ = name
        call.__doc__ = shorten(doc, SAID)
        call.__annotations__ = hints  # types only: a text would be evaluated
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect reads it
            [each.parameter for each in self._arguments], return_annotation=returns
        )
        return call

    def _returned(self) -> Any:
        properties = self._output.get("properties", {})
        return hint_of({**self._output, **properties["result"]} if self._wrapped else self._output, "Result")

    def _sent(self, given: Mapping[str, Any], spelled: Mapping[str, Argument]) -> dict[str, Any]:
        """Return arguments under the server's names; `None` for one that may be left out leaves it out."""
        sent = {}
        for key, value in given.items():
            known = spelled.get(key)
            if known is None or not known.leaves_out or value is not None:
                sent[known.name if known is not None and known.name else key] = to_json(self.name, key, value)
        return sent

    async def _call(self, arguments: dict[str, Any]) -> Any:
        place = self.place
        async with resources_for_a_call() as resources:
            connection = await resources.get(place, place.connect)
            try:
                result = await connection.call(self.title, arguments, _teller())
            except ServerLost as lost:
                await resources.drop(place, connection)  # until the server's last words are read
                raise ServerLost(place.told(str(lost), connection.inspector)) from None
        if result.is_error:
            raise ToolError(to_error(result))
        return to_value(result, wrapped=self._wrapped)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The keys that its server is given, which nothing shown of a run may hold."""
        return self.place.secrets


def _is_wrapped(schema: Any) -> bool:
    """Whether results hold the value itself under "result", as SDKs wrap what is not an object."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and list(properties) == ["result"] and isinstance(properties["result"], dict)


def _teller() -> Tell | None:
    """Return what shows how far a call has come, as a print of its task; None outside of runs."""
    id_, prints = CURRENT.get(), PRINTS.get()
    if not id_ or prints is None:
        return None
    told, at = "", 0.0

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        nonlocal told, at
        how_far = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        text, now = f"{how_far}: {cut(message, 200)}" if message else how_far, time.monotonic()
        if prints.open and text != told and (now - at >= PAUSE or progress == total):
            told, at = text, now
            prints.write(id_, f"{text}\n")

    return tell
