"""What changed from one text to another: as pieces for a page, and as lines with + and - for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import Final, NamedTuple

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_WORD: Final = re.compile(r"\w+|\s|[^\w\s]")
_MOST: Final = 4_000_000
"""Most pairs of lines, or of words, that are compared: more are not looked into, but shown as dropped and added."""
_LIKE: Final = 0.5
"""The least share of words in common, in order, for words to be marked: below that, marks are hard to read."""


class Passage(NamedTuple):
    """A part of two texts. mark: " " if it is in both, "-" if only in the old one, "+" if only in the new one."""

    mark: str
    text: str


def changes(old: str, new: str) -> list[Passage]:
    """Return the pieces of two texts: those that are not "+" make up the old one, those that are not "-" the new one.

    Lines are compared first, and then the words of lines that took the place of others.
    """
    return _joined(piece for dropped, added in _steps(old, new) for piece in _inside(dropped, added))


def mark_lines(old: str, new: str) -> str:
    """Return the new text with the old one's lines among its own: each begins with "- ", "+ ", or "  " if in both."""
    lines = []
    for dropped, added in _steps(old, new):
        if dropped == added:
            lines += [("  ", line) for line in added]
        else:
            lines += [("- ", line) for line in dropped] + [("+ ", line) for line in added]
    told = (mark + line.removesuffix("\n") for mark, line in lines)
    return "\n".join(line if line.strip() else "" for line in told)


def _steps(old: str, new: str) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Yield the lines of both texts in steps: the same ones twice, or those that others took the place of."""
    before, after = _LINE.findall(old), _LINE.findall(new)
    for (first, last), (start, end) in _matched(before, after):
        yield before[first:last], after[start:end]


def _matched(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield places in two sequences, step by step; what both begin and end with is found first, which is quick."""
    head = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - head
    tail = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
    ends = len(old) - tail, len(new) - tail
    yield (0, head), (0, head)
    if (ends[0] - head) * (ends[1] - head) > _MOST:
        yield (head, ends[0]), (head, ends[1])
    else:
        inner = SequenceMatcher(None, old[head : ends[0]], new[head : ends[1]], autojunk=False)
        for _, first, last, start, end in inner.get_opcodes():
            yield (head + first, head + last), (head + start, head + end)
    yield (ends[0], len(old)), (ends[1], len(new))


def _inside(dropped: Sequence[str], added: Sequence[str]) -> Iterator[Passage]:
    """Yield the pieces of a step: word by word if the passages are alike."""
    old, new = "".join(dropped), "".join(added)
    if old == new:
        yield Passage(" ", new)
        return
    words = _WORD.findall(old), _WORD.findall(new)
    if not old or not new or SequenceMatcher(None, *words).quick_ratio() < _LIKE:
        yield from (Passage("-", old), Passage("+", new))
        return
    steps = [(words[0][first:last], words[1][start:end]) for (first, last), (start, end) in _matched(*words)]
    if 2 * sum(len(before) for before, after in steps if before == after) < _LIKE * sum(map(len, words)):
        yield from (Passage("-", old), Passage("+", new))
        return
    for before, after in (("".join(before), "".join(after)) for before, after in steps):
        yield from (Passage(" ", after),) if before == after else (Passage("-", before), Passage("+", after))


def _joined(pieces: Iterator[Passage]) -> list[Passage]:
    """Return the pieces without empty ones; neighbours of one mark become one."""
    told = (piece for piece in pieces if piece.text)
    return [Passage(mark, "".join(each.text for each in same)) for mark, same in groupby(told, lambda each: each.mark)]
