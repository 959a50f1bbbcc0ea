"""The file of a cassette: a call of a model as a line, written without keys, and checked when it is read.

The first line is `{"cassette": 1}`, the version; another such line may stand anywhere, so cassettes can be joined. Each
further line is one call that has ended, in JSON: whom it asked, the messages, the reply in its pieces with their times,
and how it ended. A line is written at once when its call ends, so an interruption leaves whole lines. There are no
headers, no keys, and no class is looked up by a name that stands in the file: errors are taken from a table of ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from compiler_nb import errors
from compiler_nb.errors import HistoryError, ModelError
from compiler_nb.models.base import Chunk, Model, Request, Role
from compiler_nb.models.endings import LIMITS
from compiler_nb.models.secret import Screen, Secret, mask_all
from compiler_nb.outcome import Usage
from compiler_nb.text import cut, describe_error, suggest

VERSION: Final = 1
LONGEST: Final = 1e9
"""An upper limit for the times of a cassette, in seconds."""
ABOUT: Final[Mapping[str, Any]] = {"prompts": "full", "dialect": "python", "patience": 0.0, "address": ""}
"""What a cassette keeps of a model besides its names, because requests and events depend on it, and its defaults."""
ERRORS: Final = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ModelError)
}


class Fault(NamedTuple):
    """An error that a call ended with: the fields of a ModelError, and `kind`, the name of its class."""

    kind: str
    message: str
    status: int | None = None
    request_id: str = ""
    retry_after: float | None = None
    retryable: bool = False
    patient: bool = False
    text: str = ""

    def error(self, provider: str, model: str) -> ModelError:
        """Return it as an error that can be raised, a new one each time."""
        more = {"text": self.text} if self.kind == "ModelRefused" else {}
        error = ERRORS[self.kind](
            self.message, provider=provider, model=model, status=self.status, request_id=self.request_id,
            retry_after=self.retry_after, **more,
        )  # fmt: skip
        error.retryable, error.patient = self.retryable, self.patient
        return error


class Recorded(NamedTuple):
    """One call of a model.

    about: what else is kept of the model (ABOUT, and "limits": how many tokens a reply may have); reply: pieces, each
    with the seconds since the call began; seconds: until it ended; fault: the error that it ended with; stopped:
    whether the caller stopped it; plain: whether the model yielded plain strings.
    """

    role: str
    task: str
    provider: str
    model: str
    about: Mapping[str, Any]
    messages: tuple[Mapping[str, str], ...]
    reply: tuple[tuple[float, Chunk], ...]
    seconds: float
    fault: Fault | None = None
    stopped: bool = False
    plain: bool = False

    @property
    def key(self) -> tuple[Any, ...]:
        """What a request must be equal in: its role and its messages."""
        return key_of(self.role, self.messages)


def key_of(role: str, messages: Iterable[Mapping[str, str]]) -> tuple[Any, ...]:
    """Return what must be equal in two requests for one to be answered like the other."""
    return (role, *((message["role"], message["content"]) for message in messages))


# -------------------------------------------------------------------- writing


class Take:
    """A call while it is recorded: its pieces, of which keys are removed as they come."""

    def __init__(self, request: Request, model: Model, secrets: tuple[Secret, ...]) -> None:
        self.request, self.model, self.secrets = request, model, secrets
        self.pieces: list[list[Any]] = []
        self.plain = True
        self._screen = Screen(secrets)

    def add(self, at: float, piece: Any) -> None:
        """Take a piece of the reply; at: seconds since the call began."""
        if not isinstance(piece, Chunk):
            self.pieces.append([_time(at), self._screen.feed(str(piece))])
            return
        self.plain = False
        more = {name: value for name, value in piece._asdict().items() if value and name != "text"}
        if piece.usage is not None:
            more["usage"] = _without_defaults(piece.usage)
        self.pieces.append(
            [_time(at), self._screen.feed(piece.text), *([mask_all(more, self.secrets)] if more else [])]
        )

    def line(self, seconds: float, error: BaseException | None, *, stopped: bool) -> str:
        """Return the call as a line of the file."""
        request, model, secrets = self.request, self.model, self.secrets
        if held := self._screen.close():
            self.pieces[-1][1] += held
        about = {name: getattr(model, name, default) for name, default in ABOUT.items()}
        limits = getattr(model, "parameters", {})
        about["limits"] = {name: limits[name] for name in LIMITS if type(limits.get(name)) is int}
        known = {name: value for name, value in about.items() if value and value != ABOUT.get(name)}
        messages = [{"role": each["role"], "content": each["content"]} for each in request.messages]
        told: dict[str, Any] = {
            "task": request.task, "provider": model.provider, "model": model.name, "about": known,
            "messages": messages, "seconds": _time(seconds),
        }  # fmt: skip
        ends = {"plain": self.plain and bool(self.pieces), "stopped": stopped}
        fault = {"error": _fault_of(error, model)} if error is not None else {}
        masked = mask_all(told | fault, secrets)
        data = {"role": request.role} | masked | {"reply": self.pieces} | {name: True for name in ends if ends[name]}
        return _dumped(data)


def _fault_of(error: BaseException, model: Model) -> dict[str, Any]:
    """Return what is kept of an error; one that is not ours is kept as what a run says of it."""
    if not isinstance(error, ModelError):
        return {"kind": "ModelError", "message": f"{model.provider}:{model.name} raised {describe_error(error)}"}
    kind = next(each.__name__ for each in type(error).__mro__ if each.__name__ in ERRORS)
    fault = Fault(
        kind, str(error.args[0]), error.status, error.request_id, error.retry_after, error.retryable, error.patient,
        getattr(error, "text", ""),
    )  # fmt: skip
    return _without_defaults(fault)


def _without_defaults(record: Fault | Usage) -> dict[str, Any]:
    """Return the fields of a record that say something."""
    defaults = record._field_defaults
    return {name: value for name, value in record._asdict().items() if name not in defaults or value != defaults[name]}


def _time(seconds: float) -> float:
    return round(max(0.0, seconds), 6)


def _dumped(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # halves of characters, which no file can hold as they are
        return json.dumps(data)
    return text


def prepare(path: Path) -> None:
    """Make the file, for the user alone, or check that calls can be added to it. Raises HistoryError if they cannot."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if path.stat().st_size == 0:
            append(path, json.dumps({"cassette": VERSION}))
    except OSError as error:
        raise HistoryError(f"the cassette {path} cannot be written: {error.strerror or error}") from None
    read(path)


def append(path: Path, line: str) -> None:
    """Add a line at the end of the file, which must be there; other processes may do so at the same time."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        data = memoryview(f"{line}\n".encode())
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


# -------------------------------------------------------------------- reading


def read(path: Path) -> list[Recorded]:
    """Return the calls of a cassette. Raises HistoryError that names the line if the file is not a sound cassette."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        hint = f"record one with %%compile --record {path.name}, or Cassette.record({path.name!r}, model)"
        raise HistoryError(f"there is no cassette {path}; {hint}") from None
    except OSError as error:
        raise HistoryError(f"the cassette {path} cannot be read: {error.strerror or error}") from None
    lines = data.split(b"\n")
    cut_off = lines.pop()
    if not data:
        raise HistoryError(f"the cassette {path} is empty; delete it, and record it again")
    if not lines or not _is_head(lines[0]):
        raise HistoryError(f'{path} is not a cassette: its first line is not {{"cassette": {VERSION}}}')
    found = [*_calls(lines, path)]
    if cut_off:
        what = "is cut off, as its recording was interrupted; delete that line, or record it again"
        raise HistoryError(f"line {len(lines) + 1} of the cassette {path} {what}")
    return found


def _is_head(line: bytes) -> bool:
    with suppress(ValueError, RecursionError):
        head = json.loads(line)
        return type(head) is dict and "cassette" in head
    return False


def _calls(lines: Iterable[bytes], path: Path) -> Iterator[Recorded]:
    for number, line in enumerate(lines, 1):
        try:
            data = json.loads(line)
            _expect(type(data) is dict, "it is not a JSON object")
            if "cassette" in data:
                _check_version(data["cassette"], path)
            else:
                yield _recorded(data)
        except HistoryError:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            is_other = isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
            what = "it is not JSON" if is_other else cut(str(error), 200)
            raise HistoryError(f"line {number} of the cassette {path} is damaged: {what}") from None


def _check_version(version: Any, path: Path) -> None:
    if version != VERSION or type(version) is not int:
        newer = ", which a newer compiler_nb has written" if type(version) is int and version > VERSION else ""
        found = cut(str(version), 40)
        raise HistoryError(f"the cassette {path} is of version {found}{newer}; this one knows {VERSION}")


class _Field(NamedTuple):
    """What a field may be: the check, what that is in words, and its default; None if it must be there."""

    fits: Callable[[Any], bool]
    words: str
    default: Any = None


def _expect(sound: object, fault: str) -> None:
    if not sound:
        raise ValueError(fault)


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < LONGEST


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < LONGEST


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_TEXT: Final = _Field(_is_text, "a text")
_NUMBER: Final = _Field(_is_number, "a number of seconds")
_COUNT: Final = _Field(_is_count, "a whole number")
_CALL: Final = {
    "role": _Field(lambda value: value in get_args(Role), " or ".join(get_args(Role))),
    "provider": _TEXT,
    "model": _TEXT,
    "messages": _Field(lambda value: type(value) is list, "a list"),
    "reply": _Field(lambda value: type(value) is list, "a list"),
    "seconds": _NUMBER,
    "task": _TEXT._replace(default=""),
    "about": _Field(lambda value: type(value) is dict, "an object", {}),
    "error": _Field(lambda value: type(value) is dict, "an object", ()),
    "plain": _Field(_is_flag, "true or false", default=False),
    "stopped": _Field(_is_flag, "true or false", default=False),
}
_MESSAGE: Final = {"role": _TEXT, "content": _TEXT}
_ABOUT: Final = {
    "prompts": _Field(lambda value: value in ("full", "small"), "full or small", ABOUT["prompts"]),
    "dialect": _Field(lambda value: value in ("python", "numbered", "json"), "a dialect", ABOUT["dialect"]),
    "patience": _NUMBER._replace(default=ABOUT["patience"]),
    "address": _TEXT._replace(default=ABOUT["address"]),
    "limits": _Field(lambda value: type(value) is dict, "an object", {}),
}
_LIMITS: Final = {name: _COUNT._replace(default=0) for name in LIMITS}
_CHUNK: Final = {name: _TEXT._replace(default="") for name in ("finish", "model", "grammar", "notice", "template")} | {
    "usage": _Field(lambda value: type(value) is dict, "an object", ())
}
_USAGE: Final = {
    name: _Field(_is_flag, "true or false", default) if type(default) is bool else _COUNT._replace(default=default)
    for name, default in Usage._field_defaults.items()
}
_FAULT: Final = {
    "kind": _Field(lambda value: value in ERRORS, "the name of an error of models"),
    "message": _TEXT,
    "status": _COUNT._replace(default=()),
    "request_id": _TEXT._replace(default=""),
    "retry_after": _NUMBER._replace(default=()),
    "retryable": _Field(_is_flag, "true or false", default=False),
    "patient": _Field(_is_flag, "true or false", default=False),
    "text": _TEXT._replace(default=""),
}
"""What may stand in a line. A field whose default is () has no value if it is missing."""


def _fields(data: Any, known: Mapping[str, _Field], what: str) -> dict[str, Any]:
    """Return the fields of an object, with the defaults of missing ones; raises ValueError if one is wrong."""
    _expect(type(data) is dict, f"{what} is not an object")
    for name in data:
        _expect(name in known, f"{what} has an unknown field {cut(name, 40)!r}.{suggest(name, known)}")
    for name, field in known.items():
        _expect(name in data or field.default is not None, f"{what} has no {name!r}")
        _expect(name not in data or field.fits(data[name]), f"{name!r} of {what} is not {field.words}")
    found = {name: data.get(name, field.default) for name, field in known.items()}
    return {name: None if value == () else value for name, value in found.items()}


def _recorded(data: dict[str, Any]) -> Recorded:
    call = _fields(data, _CALL, "the call")
    about = _fields(call["about"], _ABOUT, "`about`")
    limits = _fields(about["limits"], _LIMITS, "`limits`")
    about["limits"] = {name: most for name, most in limits.items() if most}
    messages = tuple(_fields(each, _MESSAGE, "a message") for each in call["messages"])
    fault = Fault(**_fields(call["error"], _FAULT, "`error`")) if call["error"] is not None else None
    return Recorded(
        call["role"], call["task"], call["provider"], call["model"], about, messages, tuple(_pieces(call["reply"])),
        call["seconds"], fault, call["stopped"], call["plain"],
    )  # fmt: skip


def _pieces(data: list[Any]) -> Iterator[tuple[float, Chunk]]:
    for piece in data:
        _expect(type(piece) is list and len(piece) in (2, 3), "a piece of the reply is not [seconds, text]")
        at, text, *more = piece
        _expect(_is_number(at) and _is_text(text), "a piece of the reply is not [seconds, text]")
        facts = _fields(more[0], _CHUNK, "a piece") if more else {}
        if facts.get("usage") is not None:
            facts["usage"] = Usage(**_fields(facts["usage"], _USAGE, "`usage`"))
        yield at, Chunk(text, **facts)
