"""Parcels: functions and arguments as bytes for another process, and what a task's value looks like from far away.

Theory of operation
    What is sent is pickled by cloudpickle, here and at once, so that a value that cannot leave is named before anything
    is sent. Two kinds of objects are not in the bytes but go beside them, and the bytes say which: a value that stayed
    on the cluster (Remote), which the next call takes there by reference, and one that is large, which is sent once
    however many calls take it. Both are met by the pickler's hook for objects of classes, so that numbers and texts
    cost nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import cloudpickle
from dask.sizeof import sizeof

from compiler_nb.errors import ClusterError
from compiler_nb.outcome import Remote
from compiler_nb.text import describe_error, type_name
from compiler_nb.tool import Tool
from compiler_nb.values.functions import code_parts

LARGE: Final = 1_000_000
"""Bytes from which an object is sent beside the arguments, once."""
SMALL: Final = 16_000
"""Bytes of plain data up to which a value comes home with the end of its call."""
PARTS: Final = 1_000
"""Parts of plain data up to which it does."""
_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_PLAIN: Final = frozenset({str, bytes, bytearray, list, tuple, dict, set, frozenset})
_NUMBERS: Final = "biufcmM"
"""Kinds of columns and arrays that hold neither objects nor texts."""
_TABLES: Final = frozenset({"DataFrame", "Series", "Index", "RangeIndex", "ndarray"})
_BESIDE: Final[ContextVar[Sequence[Any]]] = ContextVar("compiler_nb_beside")


class Boxed:
    """Holds a value on the cluster, where Dask would serialize the items of a list or a dict one by one.

    lost: why there is none, if the call that was to make it failed.
    """

    __slots__ = ("lost", "value")

    def __init__(self, value: Any, lost: str = "") -> None:
        self.value, self.lost = value, lost

    def __sizeof__(self) -> int:
        return int(sizeof(self.value))


class Whole(NamedTuple):
    """A large argument of plain data, as bytes: it is sent once, known by their digest."""

    digest: bytes
    data: bytes


class Parcel(NamedTuple):
    """The arguments of a call as bytes, with what goes beside them: values of the cluster, and large objects."""

    data: bytes
    beside: list[Any]


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles, and leaves out what goes beside."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.beside: list[Any] = []

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) in (Remote, Whole) or (not isinstance(obj, type) and not callable(obj) and sizeof(obj) >= LARGE):
            self.beside.append(obj)
            return _from_beside, (len(self.beside) - 1,)
        return super().reducer_override(obj)


def _from_beside(number: int) -> Any:
    found = _BESIDE.get()[number]
    return pickle.loads(found.data) if type(found) is Whole else found  # noqa: S301 - as in `unpack`


# -------------------------------------------------------------------- sent


class _Named(NamedTuple):
    """A function that stands in a module as a tool: it is known by its name, and `mark` says which code it has.

    cloudpickle knows functions of modules by their names, too, but under this one's it finds the tool, and would send
    the function with all globals that it reads.
    """

    module: str
    name: str
    mark: str

    @classmethod
    def of(cls, function: Any) -> _Named | None:
        """Return what names a function; None if that is pickled as it is."""
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if module == "__main__" or module in cloudpickle.list_registry_pickle_by_value():
            return None
        standing = vars(sys.modules[module]).get(name) if module in sys.modules else None
        is_tool = isinstance(standing, Tool) and standing.function is function
        return cls(module, name, _mark(function)) if is_tool else None

    def function(self) -> Callable[..., Any]:
        """Return the function of this process; its module is loaded again if it has other code."""
        module = importlib.import_module(self.module)
        found = _found(module, self.name)
        if _mark(found) != self.mark:
            found = _found(importlib.reload(module), self.name)
        if _mark(found) != self.mark:
            raise ClusterError(f"{self.module}.{self.name} has other code on the worker: client.upload_file(...)")
        return cast("Callable[..., Any]", found)


def _found(module: Any, name: str) -> Any:
    """Return what stands in a module under a name, of a tool its function."""
    found = vars(module).get(name)
    return found.function if isinstance(found, Tool) else found


def _mark(function: Any) -> str:
    """Return a hash of the code of a function, and of those that it wraps.

    Values do not count, such as defaults: a path may be another one on each machine.
    """
    found = hashlib.blake2b(digest_size=8)
    while function is not None:
        if code := getattr(function, "__code__", None):
            found.update("\0".join(code_parts(code)).encode("utf-8", "surrogatepass"))
        function = getattr(function, "__wrapped__", None)
    return found.hexdigest()


def pack_function(name: str, function: Callable[..., Any]) -> bytes:
    """Return a tool's function as bytes. Raises ClusterError."""
    named = _Named.of(function)
    try:
        return bytes(cloudpickle.dumps(named or function))
    except Exception as error:  # noqa: BLE001 - a value's own methods may raise anything
        raise ClusterError(f"the tool {name} {_reason(error)}") from None


def pack(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: Callable[[int], str]) -> Parcel:
    """Return the arguments of a call. Raises ClusterError that names the argument; names: of the positional ones."""
    try:
        whole = tuple(map(_whole, args)), {name: _whole(each) for name, each in kwargs.items()}
        return _packed(whole)
    except Exception:
        for told, value in (*((names(place), value) for place, value in enumerate(args)), *kwargs.items()):
            try:
                _packed(value)
            except Exception as error:  # noqa: BLE001 - as above
                raise ClusterError(f"{name}: the argument {told!r} ({type_name(value)}) {_reason(error)}") from None
        raise


def _whole(value: Any) -> Any:
    """Return an argument as bytes if it is large and plain data; otherwise as it is.

    The pickler's hook is not asked about lists and texts, and one that was checked may be another object in each call.
    """
    if type(value) not in _PLAIN or len(value) < LARGE // 100 or sizeof(value) < LARGE:
        return value
    parcel = _packed(value)
    return value if parcel.beside else Whole(hashlib.blake2b(parcel.data, digest_size=16).digest(), parcel.data)


def _packed(value: Any) -> Parcel:
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(value)
    return Parcel(file.getvalue(), pickler.beside)


def _reason(error: BaseException) -> str:
    return f"cannot be sent to the cluster: {describe_error(error)[:200]}"


# -------------------------------------------------------------------- received


@lru_cache(maxsize=256)
def unpack_function(data: bytes) -> Callable[..., Any]:
    """Return a function; the same one for the same bytes, so that what it keeps in its module stays there."""
    found = pickle.loads(data)  # noqa: S301 - from the process that asked for the call
    return found.function() if isinstance(found, _Named) else cast("Callable[..., Any]", found)


def unpack(data: bytes, beside: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, with what went beside them in its places."""
    token = _BESIDE.set(beside)
    try:
        args, kwargs = pickle.loads(data)  # noqa: S301 - as above
    finally:
        _BESIDE.reset(token)
    return args, kwargs


def pack_small(value: Any) -> bytes | None:
    """Return a value as bytes if it is small and plain data, else None: it stays where it is."""
    if _parts(value, PARTS) < 0:
        return None
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return data if len(data) <= SMALL else None


def unpack_small(data: bytes) -> Any:
    """Return a value that came home with the end of its call."""
    return pickle.loads(data)  # noqa: S301 - from a worker that was trusted with the call


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes, None if it cannot be pickled and read again."""
    with suppress(Exception):  # its class decides what happens
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - our own, of this moment
        return data
    return None


def unpack_error(data: bytes | None) -> BaseException | None:
    """Return an exception, None if it cannot be read here."""
    with suppress(Exception):  # as above
        error = pickle.loads(data) if data is not None else None  # noqa: S301 - as for a value
        return error if isinstance(error, BaseException) else None
    return None


def _parts(value: Any, left: int) -> int:
    """Return how many parts are left after those of a value, below 0 if there are too many, or some are not plain."""
    kind = type(value)
    if kind in _ATOMS:
        return left - 1 if kind not in (str, bytes) or len(value) <= SMALL else -1
    if kind is dict:
        inner: Iterator[Any] = (part for pair in value.items() for part in pair)
    elif kind in (list, tuple, set, frozenset):
        inner = iter(value)
    else:
        return -1
    if len(value) > left:
        return -1
    for part in inner:
        left = _parts(part, left - 1)
        if left < 0:
            break
    return left


# -------------------------------------------------------------------- what may not leave


class LeakError(Exception):
    """What is to be sent holds a key."""


class _Sink(io.RawIOBase):
    """Takes bytes and keeps none; raises LeakError if one of the keys is in them, in whatever width of characters."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self.keys, self.last = keys, b""
        self.longest = 4 * max(map(len, keys), default=0)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self.keys:
            text = self.last + bytes(view)
            check_bytes(text, self.keys)
            self.last = text[-self.longest :]
        return len(view)


def check_bytes(data: bytes, keys: Sequence[bytes]) -> None:
    """Raise LeakError if one of the keys is in data, in whatever width of characters."""
    narrow = data.replace(b"\0", b"") if keys else data
    if any(key in data or key in narrow for key in keys):
        raise LeakError


def check_result(name: str, value: Any) -> None:
    """Raise ClusterError if a result cannot leave its worker."""
    try:
        check_large(value)
    except Exception as error:  # noqa: BLE001 - as above
        raise ClusterError(f"{name}: its result ({type_name(value)}) {_reason(error)}") from None


def check_large(value: Any, keys: Sequence[bytes] = ()) -> None:
    """Try to pickle an object, which may be large; raise what its pickling raises, LeakError if it holds a key.

    Tables and arrays are not tried without need: numbers can always be sent, and columns of texts hold at most keys.
    """
    has_texts, has_objects = _contents(value)
    if has_objects or (has_texts and keys):
        cloudpickle.Pickler(_Sink(keys), protocol=pickle.HIGHEST_PROTOCOL).dump(value)


def _contents(value: Any) -> tuple[bool, bool]:
    """Return whether there may be texts in a value, and whether there may be objects."""
    kind = type(value)
    if kind.__module__.partition(".")[0] not in ("numpy", "pandas") or kind.__name__ not in _TABLES:
        return True, True
    columns = [*value.dtypes] if kind.__name__ == "DataFrame" else [value.dtype]
    columns += [value.index.dtype] if hasattr(value, "index") else []
    texts = any(getattr(each, "kind", "O") not in _NUMBERS for each in columns)
    return texts, any(getattr(each, "hasobject", False) for each in columns)
