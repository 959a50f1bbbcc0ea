"""What a GGUF file says of itself: enough to name the model, and to refuse other files before they are loaded.

A GGUF file begins with a magic, a version and two counts; then come keys with typed values. General facts stand before
the tokenizer's long lists, so reading stops there, and a file of many gigabytes is described in a millisecond.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
MOST: Final = 10_000
"""Keys, and values in one list, before the tokenizer's; there are fewer than a hundred."""
LONGEST: Final = 1_000_000
"""Most bytes of a text; no name or licence is longer."""
NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""The types of numbers by their codes, as `struct` writes them."""
TEXT, LIST = 8, 9
TOKENIZER: Final = "tokenizer."
POINTER: Final = b"version https://git-lfs"


class NotGguf(ValueError):
    """A file is not a GGUF file, or its beginning is damaged."""


class ModelFile(NamedTuple):
    """A model's file: its path and bytes, and what it says of itself: "" and 0 if it does not say.

    context: the longest context, in tokens, that the model was trained for.
    """

    path: Path
    bytes: int
    name: str
    size_label: str
    context: int

    @property
    def size(self) -> str:
        """The size as text: "98 MB"."""
        megabytes = self.bytes / 1e6
        return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{max(megabytes, 1):.0f} MB"  # noqa: PLR2004

    @property
    def title(self) -> str:
        """What the model is, in a few words: "Smollm2 135M 8k Lc100K Mix1 Ep2, 135M parameters"."""
        name = self.name or self.path.stem
        return f"{name}, {self.size_label} parameters" if self.size_label else name


def read_header(path: Path) -> ModelFile:
    """Return what a GGUF file says of itself. Raises NotGguf, with what is wrong and the fix, or OSError."""
    if path.is_dir():
        raise NotGguf(f"it is a folder; name the .gguf file in it{_first_in(path)}")
    with path.open("rb") as file:
        begin = file.read(len(POINTER))
        if begin == POINTER:
            raise NotGguf("it is only a pointer of Git LFS; get the file itself with `git lfs pull`")
        if begin[:4] != MAGIC:
            what = f"it begins with {begin[:4]!r}" if begin else "it is empty"
            raise NotGguf(f"it is not a GGUF file: {what}, and a GGUF file begins with {MAGIC!r}")
        file.seek(len(MAGIC))
        try:
            facts = _facts(file)
        except (struct.error, UnicodeDecodeError, RecursionError) as error:
            raise NotGguf(f"its beginning is damaged or cut off ({error}); get the file again") from None
    family = facts.get("general.architecture", "")
    context = facts.get(f"{family}.context_length", 0)
    named, label = (facts.get(f"general.{key}", "") for key in ("name", "size_label"))
    return ModelFile(
        path, path.stat().st_size, str(named), str(label), context if type(context) is int and context > 0 else 0
    )


def _first_in(folder: Path) -> str:
    found = min(folder.glob("*.gguf"), default=None)
    return f", such as {found}" if found else ""


def _facts(file: BinaryIO) -> dict[str, Any]:
    """Return the values of the keys before the tokenizer's; None for lists."""
    version, _, count = _take(file, "IQQ")
    if version not in VERSIONS:
        raise NotGguf(f"its version of GGUF is {version}; llama.cpp reads {' and '.join(map(str, VERSIONS))}")
    _bound(count, "keys")
    found: dict[str, Any] = {}
    for _ in range(count):
        key = _text(file)
        if key.startswith(TOKENIZER):
            break
        found[key] = _value(file, *_take(file, "I"))
    return found


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == TEXT:
        return _text(file)
    if kind == LIST:
        inner, count = _take(file, "IQ")
        _bound(count, "values in a list")
        for _ in range(count):
            _value(file, inner)
        return None
    if kind not in NUMBERS:
        raise NotGguf(f"it holds a value of the unknown type {kind}, so its beginning is damaged; get the file again")
    return _take(file, NUMBERS[kind])[0]


def _bound(count: int, what: str) -> None:
    if count > MOST:
        raise NotGguf(f"it claims to hold {count:,} {what}, so its beginning is damaged; get the file again")


def _take(file: BinaryIO, form: str) -> tuple[Any, ...]:
    size = struct.calcsize(f"<{form}")
    return struct.unpack(f"<{form}", file.read(size))


def _text(file: BinaryIO) -> str:
    (size,) = _take(file, "Q")
    if size > LONGEST:
        raise NotGguf(f"it claims to hold a text of {size:,} bytes, so its beginning is damaged; get the file again")
    text = file.read(size)
    if len(text) < size:
        raise NotGguf("it is cut off; get the file again")
    return text.decode("utf-8")
