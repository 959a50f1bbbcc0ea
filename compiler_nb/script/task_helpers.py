"""What performs the tasks of a script: each begins when what it reads is there.

It is the text of scripts: pieces.py takes from here what one uses. Nothing here imports the package, and the package
never calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import itertools
import random
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, NamedTuple

# ---------------------------------------------------------------- tasks

_TASKS: dict[str, asyncio.Future[Any]] = {}  # by the id of the task in the plan
_SHAPES: dict[str, asyncio.Future[_Shape]] = {}  # the items of fan-outs, when they are known
_TURNS: dict[str, asyncio.Future[None]] = {}  # of tasks that come after others without reading them
_STOPS: dict[str, str] = {}  # why a side effect is not made: the one above it that failed
_EFFECTS: set[str] = set()  # tasks with side effects
_SLOTS: dict[str, asyncio.Semaphore] = {}  # calls at a time, by what limits them
_TOOLS: dict[str, _Tool] = {}


class _Tool(NamedTuple):
    """A tool: its function, seconds for a call, further attempts, what limits it, and how it is called."""

    function: Callable[..., Any]
    timeout: float | None = None
    retries: int = 0
    slots: tuple[str, ...] = ("calls",)
    main_thread: bool = False
    numbers: Mapping[str, type] = {}


class _Shape(NamedTuple):
    """The items of a fan-out: all of them in order, and the list or dict that they are in."""

    items: list[asyncio.Future[Any]]
    container: Any


class _Lost(NamedTuple):
    """Stands for a value that failed."""

    error: Exception


class _Stopped(Exception):
    """A side effect is not made, for one above it failed."""


class _Unneeded(Exception):
    """A fan-out is not needed, as a test says."""


class _FillIn:
    """Stands for what has no source that could be written here; what is done with it says what is missing."""

    def __init__(self, what: str) -> None:
        self._what = what

    def _missing(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"fill in {self._what}")

    __call__ = __getitem__ = __iter__ = __len__ = __getattr__ = _missing


_NOT_NEEDED = object()
"""The value of a call that a test says is not needed; nothing reads it."""


def _begin(**slots: int) -> None:
    """Begin anew, with so many calls at a time."""
    for kept in (_TASKS, _SHAPES, _TURNS, _STOPS, _EFFECTS):
        kept.clear()
    _SLOTS.update({name: asyncio.Semaphore(most) for name, most in slots.items()})


def _start(work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """Let work begin; its error is for those that wait for it."""
    future = asyncio.ensure_future(work)
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return future


def _task(
    id_: str, follows: tuple[str, ...] = (), *, effect: bool = False
) -> Callable[[Callable[[], Coroutine[Any, Any, Any]]], None]:
    """Start a task; follows: tasks that it comes after without reading them."""

    def begin(body: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        _note(id_, follows, effect=effect)
        _TASKS[id_] = _start(body())

    return begin


def _fanout(
    id_: str, container: type, follows: tuple[str, ...] = (), *, effect: bool = False, drop_failed: float = 0.0
) -> Callable[[Callable[[], AsyncIterator[Any]]], None]:
    """Start a fan-out, whose body yields its items, in a dict after their keys; all begin when all are known.

    drop_failed: the share of its items that may fail, such as 0.1: its value is then without them.
    """

    def begin(body: Callable[[], AsyncIterator[Any]]) -> None:
        _note(id_, follows, effect=effect)
        _SHAPES[id_] = _start(_shape_of(body, container))
        _TASKS[id_] = _start(_collected(id_, drop_failed))

    return begin


def _note(id_: str, follows: tuple[str, ...], *, effect: bool) -> None:
    if effect:
        _EFFECTS.add(id_)
    if follows:
        _TURNS[id_] = _start(_turn_of(id_, follows))


async def _value(id_: str) -> Any:
    """Return the value of a task when it is there."""
    return await _TASKS[id_]


async def _values(*ids: str) -> list[Any]:
    """Return the values of tasks when all are there; the first that fails is the error."""
    return await asyncio.gather(*map(_value, ids))


async def _ended(value: Awaitable[Any]) -> Any:
    """Return a value when it is there, or its error if it fails: perhaps nothing needs it."""
    try:
        return await value
    except Exception as error:
        return _Lost(error)


def _there(value: Any) -> Any:
    """Return a value that is needed now."""
    if isinstance(value, _Lost):
        raise value.error
    return value


async def _answer(value: Coroutine[Any, Any, Any]) -> Any:
    """Return the answer when all tasks have ended, and say which have failed."""
    answer = _start(value)
    every = [*_TASKS.values(), *(item for shape in _SHAPES.values() for item in _items_known(shape)), answer]
    await asyncio.wait(every)
    told: set[int] = set()
    for id_, task in _TASKS.items():
        error = task.exception()
        if error is not None and id(error) not in told:
            told.add(id(error))
            sys.stderr.write(f"{id_} failed: {type(error).__name__}: {error}\n")
    return answer.result()


def _items_known(shape: asyncio.Future[_Shape]) -> list[asyncio.Future[Any]]:
    return shape.result().items if shape.done() and shape.exception() is None else []


async def _results(
    names: Mapping[str, str], wanted: tuple[str, ...] = (), lines: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Return what tasks gave, by name, when all have ended; an error if one that is wanted, or all, failed.

    lines: the lines that guarded calls stand in: a call that is all of its line's value is not named for itself.
    """
    if _TASKS:
        await asyncio.wait(_TASKS.values())
    for id_ in wanted:
        await _TASKS[id_]
    done = {id_: task.result() for id_, task in _TASKS.items() if task.exception() is None}
    if names and not any(id_ in done for id_ in names.values()):
        await next(iter(_TASKS[id_] for id_ in names.values()))
    hidden = {id_ for id_, line in lines.items() if id_ in done and done.get(line, done) is done[id_]}
    shown = {name: id_ for name, id_ in names.items() if id_ in done and id_ not in hidden}
    return {name: done[id_] for name, id_ in shown.items() if done[id_] is not _NOT_NEEDED}


# ---------------------------------------------------------------- fan-outs


async def _shape_of(body: Callable[[], AsyncIterator[Any]], container: type) -> _Shape:
    works: list[Any] = []
    try:
        async for work in body():
            works.append(work)
        keys = [hash(key) for key, _ in works] if container is dict else []
    except BaseException:
        for work in works:
            (work[1] if container is dict else work).close()
        raise
    if container is list:
        items = [_start(work) for work in works]
        return _Shape(items, items)
    pairs = [(key, _start(work)) for key, work in works]
    return _Shape([item for _, item in pairs], dict(pairs) if len(keys) == len(pairs) else {})


async def _collected(id_: str, drop_failed: float) -> Any:
    """Return a fan-out's value when all its items have ended; if more failed than may, the first is the error."""
    try:
        shape = await _SHAPES[id_]
    except _Unneeded:
        return _NOT_NEEDED
    if shape.items:
        await asyncio.wait(shape.items)
    failed, count = {item for item in shape.items if item.exception() is not None}, len(shape.items)
    pairs = list(enumerate(shape.items) if type(shape.container) is list else shape.container.items())
    kept = [(key, item.result()) for key, item in pairs if item not in failed]
    if failed and (not kept or len(failed) / count > drop_failed):
        for item in shape.items:
            item.result()
    if failed:
        sys.stderr.write(f"{id_} goes without {len(failed)} of {count} items, which failed\n")
    return [value for _, value in kept] if type(shape.container) is list else dict(kept)


async def _items_of(id_: str) -> Any:
    """Return the list or dict of a fan-out's items as soon as they are known: each is still to be waited for."""
    return (await _SHAPES[id_]).container


async def _item(id_: str, key: Any) -> Any:
    """Return one item of a fan-out as soon as it is there; one that does not exist is looked up in the whole."""
    shape = await _SHAPES[id_]
    try:
        item = shape.container[key]
    except (LookupError, TypeError):
        return (await _TASKS[id_])[key]
    return await item


async def _later(value: Any) -> Any:
    """Return the value of an item of another fan-out when it is there; anything else as it is."""
    if isinstance(value, asyncio.Future):
        return await value
    return tuple([await _later(part) for part in value]) if type(value) is tuple else value


# ---------------------------------------------------------------- the order of side effects


async def _turn_of(id_: str, follows: tuple[str, ...]) -> None:
    """Wait until all that a task comes after have had their turn and have ended; note what stops side effects."""
    for name in follows:
        if name in _TURNS:
            await _TURNS[name]
        await asyncio.wait([_TASKS[name]])
        is_lost = name in _EFFECTS and _TASKS[name].exception() is not None
        if name in _STOPS or is_lost:
            _STOPS.setdefault(id_, _STOPS.get(name, name))


async def _turn(id_: str, *, effect: bool = False) -> None:
    """Wait for the turn of a task; effect: whether a side effect is to be made, which one above it may stop."""
    if id_ in _TURNS:
        await _TURNS[id_]
    if effect and id_ in _STOPS:
        raise _Stopped(f"no later side effect is made, for {_STOPS[id_]} failed")


# ---------------------------------------------------------------- calls


async def _call(name: str, /, *args: Any, **kwargs: Any) -> Any:
    """Perform a call within the limits, with its timeout and its further attempts."""
    tool = _TOOLS[name]
    if tool.numbers:
        args, kwargs = _with_numbers(tool, args, kwargs)
    for attempt in itertools.count(1):
        try:
            async with contextlib.AsyncExitStack() as held:
                for slot in tool.slots:
                    await held.enter_async_context(_SLOTS[slot])
                return await asyncio.wait_for(_performed(tool, args, kwargs), tool.timeout)
        except Exception:
            if attempt > tool.retries:
                raise
        await asyncio.sleep(min(0.2 * 2 ** (attempt - 1), 10.0) * (0.5 + random.random()))
    raise AssertionError


async def _performed(tool: _Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function, a plain one on a thread of its own; what it returns is awaited, or listed if it is lazy."""
    if tool.main_thread or inspect.iscoroutinefunction(tool.function):
        value = tool.function(*args, **kwargs)
    else:
        value = await _on_thread(tool.function, args, kwargs)
    while isinstance(value, Awaitable):
        value = await value
    if type(value) in (map, filter, zip, enumerate, reversed, itertools.chain, itertools.islice, itertools.starmap):
        items = list(itertools.islice(value, 10_001))
        return items if len(items) <= 10_000 else itertools.chain(items, value)
    return value


def _on_thread(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> asyncio.Future[Any]:
    """Call a function on a thread, which does not keep the process alive if the call is given up."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def tell(value: Any, error: BaseException | None) -> None:
        if not ended.done():
            ended.set_result(value) if error is None else ended.set_exception(error)

    def work() -> None:
        value, error = None, None
        try:
            value = context.run(function, *args, **kwargs)
        except Exception as raised:
            error = RuntimeError(repr(raised)) if isinstance(raised, StopIteration) else raised
        except BaseException as raised:
            error = RuntimeError(repr(raised))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, value, error)

    threading.Thread(target=work, daemon=True).start()
    return ended


def _with_numbers(tool: _Tool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with 1 as 1.0 for a float, and 1.0 as 1 for an int."""
    given = inspect.signature(tool.function).bind(*args, **kwargs)
    for name, kind in tool.numbers.items():
        value = given.arguments.get(name)
        if type(value) in (int, float) and type(value) is not kind and kind(value) == value:
            given.arguments[name] = kind(value)
    return given.args, given.kwargs
