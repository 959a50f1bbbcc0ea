"""Values of pure tools: what one run looks for, and what it keeps.

Theory of operation
    A key is a hash of the tool's source (values/source.py), of its arguments, and of the classes of instances in them.
    Calls that become ready in one turn of the loop are looked for together, on a thread, and so are values coded and
    written: the loop does what must be done at once, that is to copy a value before another tool may change it.
    Whatever cannot be compared, or not be stored, is named, and the call is simply made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias

from compiler_nb.cache.cache import Cache, Stored
from compiler_nb.cache.why import Made, why_called
from compiler_nb.engine.flights import PureCall, Recalled
from compiler_nb.engine.off_loop import off_loop
from compiler_nb.errors import HistoryError
from compiler_nb.events import CacheLooked, Log
from compiler_nb.models.secret import Secret, mask
from compiler_nb.outcome import unstored
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Input, references, walk
from compiler_nb.text import cut, name_of, seconds_text, shorten_value
from compiler_nb.tool import Tool
from compiler_nb.values.code import decode, encode
from compiler_nb.values.coded import Coded, digest_of
from compiler_nb.values.copies import ATOMS, copy_of, is_small
from compiler_nb.values.source import ToolSource, is_own, source_of

GATHERED: Final = 0.02
"""Seconds in which values are gathered that are coded and written together."""
_TEXT: Final = 60
"""Characters of an argument that are kept, so that a later miss can name it."""
Then: TypeAlias = Callable[[Recalled | None], None]


class _Wanted(NamedTuple):
    """A call that is looked for: under which key, and what that is made of."""

    call: PureCall
    key: str
    made: Made
    sources: tuple[ToolSource, ...]
    then: Then


class _Value(NamedTuple):
    """A value that is to be kept: what was wanted, the value or its coded form, and how long the call took."""

    wanted: _Wanted
    value: Any
    seconds: float


class ValueCache:
    """Looks for values of pure tools for one run, and keeps those that it makes; made on the run's loop."""

    def __init__(self, cache: Cache, log: Log, secrets: tuple[Secret, ...] = ()) -> None:
        self.cache, self.log, self.secrets = cache, log, secrets
        self._loop = asyncio.get_running_loop()
        self._sources: dict[Any, ToolSource] = {}  # by tool or class
        self._wanted: list[_Wanted] = []
        self._open: dict[str, _Wanted] = {}  # calls that are made, by task
        self._kept: list[_Value] = []
        self._others: dict[str, list[Stored]] = {}  # entries that misses are compared with, by name
        self._works: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------- looking

    def look(self, call: PureCall, then: Then) -> None:
        """Look for a call's value, and go on with what is found."""
        try:
            sources = self._sources_of(call)
            fault = call.loose or next((f"tool `{call.tool.name}`: {each.fault}" for each in sources if each.fault), "")
        except Exception as error:  # noqa: BLE001 - a user's objects may raise anything when they are looked at
            sources, fault = (), f"it cannot be compared: {type(error).__name__}"
        if fault:
            self._miss(call.task, fault)
            then(None)
            return
        made = _made(call, sources)
        parts = [f"{name}\0{digest}" for name, digest in sorted(made.parts.items())]
        key = digest_of("\0".join(["value", call.tool.name, *parts]).encode("utf-8", "surrogatepass"))
        if not self._wanted:
            self._loop.call_soon(self._look_for_all)
        self._wanted.append(_Wanted(call, key, made, sources, then))

    def _sources_of(self, call: PureCall) -> tuple[ToolSource, ...]:
        """Return the sources of a call's tool, and of classes of instances in its arguments, as they are now."""
        classes = [each for each in call.classes if is_own(str(vars(type)["__module__"].__get__(each)))]
        known = [call.tool, *sorted(classes, key=name_of)]
        for each in known:
            if each not in self._sources or not self._sources[each].is_current:
                self._sources[each] = source_of(each) if isinstance(each, Tool) else ToolSource(each)
        return tuple(self._sources[each] for each in known)

    def _look_for_all(self) -> None:
        wanted, self._wanted = self._wanted, []
        self._begin(self._answer(wanted))

    async def _answer(self, wanted: list[_Wanted]) -> None:
        """Answer calls that are looked for together."""
        try:
            found = await off_loop(self._read, wanted)
        except Exception as error:  # noqa: BLE001 - a call is made, whatever is wrong with what is kept
            found = dict.fromkeys((each.key for each in wanted), f"what is kept cannot be read: {error}")
        self.cache.hit([key for key, each in found.items() if type(each) is Recalled])
        for each in wanted:
            known = found[each.key]
            if isinstance(known, str):
                self._miss(each.call.task, known)
                self._open[each.call.task.id] = each
                each.then(None)
            else:
                each.then(known)

    def _read(self, wanted: list[_Wanted]) -> dict[str, Recalled | str]:
        """Return what is known of calls, by their keys: their values, or why there are none; on a thread."""
        entries, found = self.cache.find([each.key for each in wanted]), {}
        for each in wanted:
            entry = entries.get(each.key)
            found[each.key] = self._why(each) if entry is None else _value_of(entry, each.call.tool)
        return found

    def _why(self, wanted: _Wanted) -> str:
        tool = wanted.call.tool.name
        if tool not in self._others:
            self._others[tool] = self.cache.named(f"values of {tool}")
        return why_called(tool, wanted.made, self._others[tool])

    def _miss(self, task: Task, told: str) -> None:
        self.log.emit(CacheLooked, task.id, "", False, mask(told, self.secrets))  # noqa: FBT003 - a field

    # ---------------------------------------------------------------- keeping

    def keep(self, call: PureCall, value: Any, seconds: float) -> None:
        """Keep the value of a call that was made and was looked for."""
        wanted = self._open.pop(call.task.id, None)
        if wanted is None:
            return
        own = value if id(type(value)) in ATOMS else copy_of(value)
        if own is value and id(type(value)) not in ATOMS:  # its class alone knows how to copy it
            hint = call.tool.returns
            small = is_small(value)
            own = encode(value, hint=hint, drawing=False) if small else Coded("null", stored=False)
        if not self._kept:
            self._loop.call_later(GATHERED, self._keep_all)
        self._kept.append(_Value(wanted, own, seconds))

    def _keep_all(self) -> None:
        kept, self._kept = self._kept, []
        if kept:
            self._begin(self._write(kept))

    async def _write(self, kept: list[_Value]) -> None:
        with suppress(Exception):  # what cannot be kept is worked out again
            await off_loop(self._write_all, kept)

    def _write_all(self, kept: list[_Value]) -> None:
        """Code and write values, if what they were made of has not changed meanwhile; on a thread."""
        stale: dict[int, str] = {}
        for wanted, value, seconds in kept:
            for source in wanted.sources:
                if id(source) not in stale:
                    stale[id(source)] = source.stale()
            reason = next((f"`{stale[id(each)]}` changed meanwhile" for each in wanted.sources if stale[id(each)]), "")
            if not (reason or wanted.call.is_current()):
                reason = "its arguments changed meanwhile"
            about = wanted.made.about(run=self.log.run, seconds=seconds)
            entry = Stored(wanted.key, f"values of {wanted.call.tool.name}", about)
            reason = reason or self._put(entry, value, wanted.call.tool)
            if reason:
                self.cache.put(entry._replace(about={**about, "unkept": mask(reason, self.secrets), "texts": {}}))

    def _put(self, entry: Stored, value: Any, tool: Tool) -> str:
        """Keep a value; return why that cannot be done, "" if it is."""
        coded = value if type(value) is Coded else encode(value, hint=tool.returns, drawing=False)
        data = (coded.text.encode(), *coded.blobs)
        return _unkept(coded) or self.cache.put(entry._replace(data=data), self.secrets)

    async def finish(self) -> None:
        """Write what is left, and wait for it."""
        self._keep_all()
        while self._works:
            await asyncio.wait(self._works)
        self.cache.prune()

    def _begin(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


def _made(call: PureCall, sources: tuple[ToolSource, ...]) -> Made:
    """Return what a call's value is made of."""
    own, *classes = sources
    name = getattr(call.tool.function, "__name__", call.tool.name)
    parts = {
        f"source {'=' + call.tool.name if part == name else part}": each.digest for part, each in own.parts.items()
    }
    texts = {f"source {part}": each.word for part, each in own.parts.items() if each.word not in ("code", "value")}
    parts |= {f"class {part}": each.digest for source in classes for part, each in source.parts.items()}
    parts |= {f"argument {name}": digest for name, digest in call.digests.items()}
    values = {**dict(call.named()), **call.kwargs}
    texts |= {f"argument {name}": _short(value) for name, value in values.items()}
    return Made(parts, texts, call.task.id, _sources(call, list(call.digests)))


def _short(value: Any) -> str:
    if type(value) is str:
        return repr(cut(value, _TEXT))
    with suppress(Exception):  # a value's own methods may raise anything
        return cut(shorten_value(value, _TEXT), _TEXT)
    return "…"


def _sources(call: PureCall, names: list[str]) -> dict[str, list[str]]:
    """Return the tasks and inputs that arguments come from, by their parameters."""
    task = call.task
    trees = [*zip(names, task.args, strict=False), *task.kwargs.items()]
    found = {}
    for name, tree in trees:
        inputs = [f"@{part.name}" for part in walk(tree) if isinstance(part, Input)]
        if sources := [*(id_ for id_ in references(tree) if id_[:1] != "."), *inputs]:
            found[name] = sources
    return found


def _value_of(entry: Stored, tool: Tool) -> Recalled | str:
    """Return the value that an entry holds, or why it holds none."""
    about = entry.about
    if "unkept" in about:
        return f"its value is not kept: {about['unkept']}"
    text, *blobs = entry.data
    try:
        value = decode(text.decode(), blob=blobs.__getitem__, hint=lambda _: tool.returns)
    except HistoryError as error:
        return f"what is kept cannot be read: {error}"
    return Recalled(value, f"made in {about['run']}, where it took {seconds_text(float(about['seconds']))}")


def _unkept(coded: Coded) -> str:
    """Return why a value has no form in which it can be kept, "" if it has."""
    if coded.whole:
        return ""
    lost = unstored(decode(coded.text, blob=coded.blobs.__getitem__))
    return lost.reason if lost is not None else "a part of it cannot be stored"
