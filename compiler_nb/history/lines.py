"""A run as lines of JSON: `run.save("run.jsonl")` and back, in the forms of the history, for one run on its own.

The first line is the run itself and the version, `{"run": 1, ...}`; then come its inputs and its events, one a line.
Values are coded as in a history, arrays and tables beside them in base64; keys are masked, and reading runs no code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from compiler_nb.errors import HistoryError
from compiler_nb.history.file import checksum
from compiler_nb.history.listing import BROKEN_OFF
from compiler_nb.history.reader import StoredRows, make_run
from compiler_nb.history.rows import rows_of
from compiler_nb.outcome import Status
from compiler_nb.run import Run
from compiler_nb.text import cut, describe_error, suggest
from compiler_nb.tool import Toolbox
from compiler_nb.values.coded import LARGEST
from compiler_nb.values.forms import expect, of_kind

VERSION: Final = 1
WENT_ON: Final = "it went on when it was saved"
_FIELDS: Final = {
    "run": {"run", "id", "question", "status", "settings"},
    "input": {"input", "hash", "value", "blobs"},
    "event": {"event", "seq", "round", "at", "body", "blobs"},
}
"""The kinds of lines by the field that they begin with, and what they may hold."""


def write(run: Run, *, largest: int = LARGEST) -> str:
    """Return a run as lines, without keys; largest: bytes that one value may take, a larger one says so instead."""
    return "".join(f"{json.dumps(line)}\n" for line in _lines(run, largest))


def _lines(run: Run, largest: int) -> Iterator[dict[str, Any]]:
    status: Status = run.status
    rows = rows_of(run, largest)
    blobs: dict[str, list[str]] = {}
    for _, owner, _, data in rows["blobs"]:
        blobs.setdefault(owner, []).append(base64.b64encode(data).decode("ascii"))
    for id_, question, *_, settings, _ in rows["runs"]:
        yield {"run": VERSION, "id": id_, "question": question, "status": status, "settings": json.loads(settings)}
    for _, name, digest, body, _ in rows["inputs"]:
        line = {"input": name, "hash": digest, "value": json.loads(body)}
        yield line | _beside(blobs, f"input {name}")
    for _, seq, round_, at, kind, body, _ in rows["events"]:
        line = {"event": kind, "seq": seq, "round": round_, "at": at, "body": json.loads(body)}
        yield line | _beside(blobs, f"seq {seq}")


def _beside(blobs: Mapping[str, list[str]], owner: str) -> dict[str, list[str]]:
    return {"blobs": blobs[owner]} if owner in blobs else {}


def read(path: Path, tools: Iterable[Any] | Mapping[str, Any] = ()) -> Run:
    """Return the run that a file holds; tools: as for `History.load`.

    Raises HistoryError that names the line if the file is damaged, of another version, or something else.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise HistoryError(f"the run {path} cannot be read: {error.strerror or error}") from None
    data = [_line(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]
    try:
        return _run(data, tools)
    except HistoryError as error:
        raise HistoryError(f"the run {path} cannot be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
        raise HistoryError(f"the run {path} cannot be read: {describe_error(error)[:200]}") from None


def _line(line: bytes, number: int, path: Path) -> dict[str, Any]:
    """Return the data of a line, which is of a known kind."""
    try:
        data = json.loads(line)
        expect(type(data) is dict, "it is not a JSON object")
        kind = next((each for each in _FIELDS if each in data), "")
        expect(
            kind,
            f"it is neither a run nor an input nor an event; it begins with {cut(str(next(iter(data), '')), 40)!r}",
        )
        for name in data:
            expect(name in _FIELDS[kind], f"it has an unknown field {cut(name, 40)!r}.{suggest(name, _FIELDS[kind])}")
    except HistoryError as error:
        raise HistoryError(f"line {number} of the run {path} is damaged: {error}") from None
    except (ValueError, RecursionError):
        raise HistoryError(f"line {number} of the run {path} is damaged or cut off: it is not JSON") from None
    return dict(data)


def _run(data: list[dict[str, Any]], tools: Iterable[Any] | Mapping[str, Any]) -> Run:
    expect(data and "run" in data[0], 'it is not a saved run: its first line does not begin with {"run": 1')
    head, *rest = data
    version = head["run"]
    newer = ", which a newer compiler_nb has written" if type(version) is int and version > VERSION else ""
    known = type(version) is int and version == VERSION
    expect(known, f"it is of version {cut(str(version), 40)}{newer}; this one knows {VERSION}")
    expect(not any("run" in line for line in rest), "it holds more than one run")
    status = of_kind(str, head["status"])
    expect(status in Status.__args__, "it has an unknown status")  # type: ignore[attr-defined]  # of a Literal
    inputs = [
        (of_kind(str, line["input"]), line["hash"], *_checked(line["input"], line["value"]))
        for line in rest
        if "input" in line
    ]
    events = [
        (line["seq"], line["round"], line["at"], of_kind(str, line["event"]), *_checked(line["event"], line["body"]))
        for line in rest if "event" in line
    ]  # fmt: skip
    stored = StoredRows(
        of_kind(str, head["question"]), BROKEN_OFF if status == "running" else status, json.dumps(head["settings"]),
        inputs, events, list(_blobs(rest)),
    )  # fmt: skip
    box = tools if isinstance(tools, Toolbox) else Toolbox(tools)
    return make_run(of_kind(str, head["id"]), box, stored, gone=WENT_ON)


def _checked(name: str, data: Any) -> tuple[str, int]:
    """Return coded data as a history holds it, with the checksum that it has there."""
    text = json.dumps(data)
    return text, checksum(name, text)


def _blobs(lines: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int, bytes]]:
    for line in lines:
        owner = f"input {line['input']}" if "input" in line else f"seq {line['seq']}"
        for number, text in enumerate(of_kind(list, line.get("blobs", []))):
            yield owner, number, base64.b64decode(of_kind(str, text), validate=True)
