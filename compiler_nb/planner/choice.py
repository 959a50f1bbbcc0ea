"""Which tools a planner is told of: all of them if they fit the budget, else those that fit the question best.

The rest is named, by server, as far as the budget goes. A plan may call any of them: it is checked against all, and a
repair request brings the description of what it named.

Ranking is plain BM25 over the words of a tool's name, its description and its parameters, with a little weight for
tools that were used before. It is the same in every process.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Final, NamedTuple

from compiler_nb.models.base import estimate_tokens
from compiler_nb.planner.requests import listed
from compiler_nb.tool import Tool, Toolbox

TOOL_TOKENS: Final = 4_000
"""Tokens of the prompt that tools may take, by default."""
FEW: Final = 20
"""This many tools are described, whatever was used before."""
NAMED: Final = 0.25
"""The share of them that is kept for the names of tools that are not described."""
MISSED: Final = 20
"""After this many tools that do not fit into the rest of the budget, no more are tried."""
ASKED: Final = 10
"""Tools that a repair request describes."""
_K, _B = 1.2, 0.75  # BM25's k1 and b: how soon repeating a word stops counting, and how much long texts are penalised
_OF_NAME: Final = 3
"""How many times a word of a tool's name counts."""
_USE: Final = 0.5
"""The weight of earlier use: a tool that was used ten times as often gets this much more."""
_WORD: Final = re.compile(r"[A-Z]?[^\W\dA-Z_]+|[A-Z]+(?![^\W\dA-Z_])|\d+")
_HEAD: Final = "Other tools, by name only; they may be called, too, and a wrong call is told how it is written:"
_OWN: Final = "here"
"""The group of the tools that do not come from a server."""


class ToldTools(NamedTuple):
    """What a planner is told: the tools that are described, and the lines that name others; whole: whether all are."""

    described: Toolbox
    lines: tuple[str, ...]
    whole: bool = True


def words_of(text: str) -> list[str]:
    """Return the words of a text, or of a name in any spelling: lower case, without the mark of a plural."""
    found = (word.lower() for word in _WORD.findall(text))
    return [word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word for word in found]  # noqa: PLR2004 - "gas"


class _Index(NamedTuple):
    """The words of tools: for each word the tools that have it, with what it counts there; the weight of each word."""

    found: Mapping[str, Sequence[tuple[int, float]]]
    weights: Mapping[str, float]


@lru_cache(maxsize=4)
def index_of(tools: tuple[Tool, ...]) -> _Index:
    """Return the index of tools; it is kept, because the next question has the same tools."""
    counts = [_counted(tool) for tool in tools]
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / max(len(lengths), 1) or 1.0
    found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for place, (count, length) in enumerate(zip(counts, lengths, strict=True)):
        held = _K * (1 - _B + _B * length / mean)
        for word, times in count.items():
            found[word].append((place, times * (_K + 1) / (times + held)))
    size = len(tools)
    weights = {word: math.log(1 + (size - len(each) + 0.5) / (len(each) + 0.5)) for word, each in found.items()}
    return _Index(found, weights)


def _counted(tool: Tool) -> Counter[str]:
    count = Counter(words_of(f"{tool.server or ''} {' '.join(_parameters(tool))} {tool.purpose}"))
    for word in words_of(tool.name):
        count[word] += _OF_NAME
    return count


def _parameters(tool: Tool) -> Iterable[str]:
    """Return the names of a tool's parameters; those of a plain function without a look at its types."""
    function = tool.function
    if type(function) is FunctionType and not {"__signature__", "__wrapped__"} & vars(function).keys():
        code = function.__code__
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return (parameter.name for parameter in tool.parameters)


def ranked(tools: tuple[Tool, ...], question: str, used: Mapping[str, int] | None = None) -> list[int]:
    """Return the places of tools, those first that fit a question best; used: how often tools were, by name."""
    index, scores = index_of(tools), [0.0] * len(tools)
    for word in dict.fromkeys(words_of(question)):
        weight = index.weights.get(word, 0.0)
        for place, counts in index.found.get(word, ()):
            scores[place] += weight * counts
    if used:
        for place, tool in enumerate(tools):
            if times := used.get(tool.name, 0):
                scores[place] += _USE * math.log10(10 * times)
    return sorted(range(len(tools)), key=lambda place: -scores[place])


def choose(
    tools: Toolbox,
    question: str,
    tokens: int = TOOL_TOKENS,
    *,
    seen: Mapping[str, str] | None = None,
    wording: str = "full",
    used: Mapping[str, int] | None = None,
    needed: Iterable[str] = (),
) -> ToldTools:
    """Return the tools that a planner is told of, within so many tokens.

    seen, wording: as for `listed`; used: as for `ranked`; needed: names of tools that are described in any case, as are
    those that ask a model.
    """
    every, shapes = tuple(tools.values()), seen or {}

    def size(tool: Tool) -> int:
        return _size(listed(Toolbox([tool]), shapes, wording))

    room = tokens
    for tool in every:
        room -= size(tool)
        if room < 0:
            break
    else:  # most notebooks end here
        return ToldTools(tools, ())
    must = {*needed, *(tool.name for tool in every if not tool.regular)}
    kept = {tool.name: tool for tool in every if tool.name in must}
    left, missed, shortest = tokens * (1 - NAMED) - sum(map(size, kept.values())), 0, tokens
    order = [every[place] for place in ranked(every, question, used)]
    for tool in order:
        if missed == MISSED or (missed and left < shortest):  # hardly any would fit, and each is described for it
            break
        if tool.name in kept:
            continue
        taken = size(tool)
        shortest = min(shortest, taken)
        if taken <= left:
            kept[tool.name] = tool
            left -= taken
        else:  # it is too long, but another one may fit
            missed += 1
    described = Toolbox([tool for tool in every if tool.name in kept])
    rest = [tool for tool in order if tool.name not in kept]
    return ToldTools(described, tuple(_named(rest, tokens * NAMED)), whole=False)


def _size(lines: Sequence[str]) -> int:
    return estimate_tokens(sum(len(line) + 1 for line in lines))


def _named(rest: Sequence[Tool], tokens: float) -> list[str]:
    """Return the lines that name tools, by server, within so many tokens; a last one counts those that are left out."""
    room, groups, left = tokens - _size([_HEAD]), defaultdict[str, list[str]](list), 0
    for tool in rest:
        size = estimate_tokens(len(tool.name) + 2)
        if size <= room:
            groups[tool.server or _OWN].append(tool.name)
            room -= size
        else:
            left += 1
    lines = [f"{server}: {', '.join(sorted(names))}" for server, names in sorted(groups.items())]
    more = [f"and {left:,} more that are not listed"] if left else []
    return [_HEAD, *lines, *more]


def asked_for(tools: Toolbox, choice: ToldTools, texts: Iterable[str]) -> list[Tool]:
    """Return the tools that texts name and that were not described: those that a plan calls, or may have meant."""
    if choice.whole:
        return []
    named = dict.fromkeys(word for text in texts for word in re.findall(r"\w+", text))
    return [tools[name] for name in named if name in tools and name not in choice.described][:ASKED]
