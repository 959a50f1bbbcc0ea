r"""Data in prompts: framed, so that no text in it can leave its frame, and limited to what is shared.

A frame is three lines or more:

    <data name="ny" call="weather('New York')" shown="20 of 13,000 rows">
    {"max": 12}
    </data>

`call` says what returned the value, and `shown` how much of a table or another long value the text is; a block without
it holds all there is. Both are ours: what is said of a run (`trace.disclosed`) is read from there.

The text inside can hold neither mark: wherever one begins, in any case and spacing, a backslash is put after its first
character (`<` + `\` + `/data>`). The same is done to the marks that separate turns in chat templates (`<|im_end|>`,
`[INST]`), and to both in full-width, mathematical and other letters that a model may read as the plain ones. Control
characters, invisible characters and those that reverse the reading order are written as escapes. Nothing else is
changed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from compiler_nb.models.parts import TYPE_ONLY
from compiler_nb.prompts.render import LIMIT, measure, render, render_value
from compiler_nb.text import cut, type_name, visible

Share: TypeAlias = Literal["all", "summary", "none"]
"""How much of contents a model may see: all, type and size with a short preview, or only the type."""
SHARES: Final[tuple[Share, ...]] = ("none", "summary", "all")
"""In order: the first one shows least of the contents."""

TOTAL: Final = 60_000
"""Most characters of all values together in a prompt."""
PREVIEW: Final = 200
"""Characters of a value that a summary shows."""
_NAME: Final = 100
_CALL: Final = 200
_LINE: Final = re.compile(r"[^\n\t]+")
_TAG: Final = re.compile(r"^<(?=/?data\b)", re.MULTILINE | re.IGNORECASE)
_MARK: Final = re.compile(
    r"""[<\u2039\u3008]
        (?=\s*+[/\u2044\u2215\u29f8]?\s*+data\b | \| | /?(?:s|bos|eos|pad|unk|sop|eop|think|tool_(?:call|response)s?)>
           | /?(?:start|end)_of_\w+> | <?/?SYS>)
      | \[(?=\| | gMASK\] | /?(?:INST|SYSTEM_PROMPT|THINK|TOOL(?:_\w+)?|AVAILABLE_TOOLS|BOS|EOS|EOT)\])""",
    re.IGNORECASE | re.VERBOSE,
)
"""Where a mark begins, in the compatibility form of a text (NFKC)."""


class Oversize(ValueError):
    """A value is too long for a prompt; the message says which and how long; the caller adds what to do about it."""


def frame(name: str, value_text: str, call: str = "", shown: str = "") -> str:
    """Return a text as a block of data under a name. No text can close the block, or look like the start of another.

    call: what returned it; shown: how much of it the text is, in words of ours; both stand beside the name.
    """
    made = f' call="{_label(call, _CALL)}"' if call else ""
    part = f' shown="{_label(shown, _CALL)}"' if shown else ""
    return f'<data name="{_label(name, _NAME)}"{made}{part}>\n{_escape(value_text)}\n</data>'


def frame_rows(name: str, rows: Mapping[str, Any]) -> str:
    """Return rows as a block of data: names of columns and messages of tools must not be read as instructions."""
    return frame(name, "\n".join(f"{key}: {text}" for key, text in rows.items())) if rows else "(none)"


def outside(text: str) -> str:
    """Return a text that stands beside blocks: a line of it that looks like the first or last of a block is escaped.

    An instruction may hold what a tool returned, and a question what a variable held.
    """
    return _TAG.sub("<\\\\", text)


def _label(text: str, limit: int) -> str:
    return re.sub('["\uff02]', "'", _escape(cut(text, limit)))


def _escape(text: str) -> str:
    shown = _LINE.sub(lambda line: visible(line[0]), text.replace("\r\n", "\n"))
    if shown.isascii():
        return _MARK.sub(lambda mark: f"{mark[0]}\\", shown)
    # One character may become several: each remembers which it came from, so that only the marks are changed.
    forms = [_compatible(char) for char in shown]
    origins = [number for number, form in enumerate(forms) for _ in form]
    begins = {origins[mark.start()] for mark in _MARK.finditer("".join(forms))}
    return "".join(f"{char}\\" if number in begins else char for number, char in enumerate(shown))


@lru_cache(10_000)
def _compatible(char: str) -> str:
    return unicodedata.normalize("NFKC", char)


def frame_values(
    values: Iterable[tuple[str, Any]], share: Share = "all", calls: Mapping[str, str] | None = None
) -> list[str]:
    """Return named values as blocks, each with as much of its contents as `share` allows.

    Of a table the first rows are shown, and the block says so (`shown="20 of 13,000 rows"`); everything else is shown
    whole. Raises Oversize if one value, or all of them together, are too long for a prompt. calls: what returned them,
    by name.
    """
    blocks: list[str] = []
    left = TOTAL
    for name, value in values:
        text, shown = _shared(name, value, share)
        blocks.append(frame(name, text, (calls or {}).get(name, ""), shown))
        left -= len(blocks[-1])
        if left < 0:
            raise Oversize(f"the values have more than {TOTAL:,} characters together, which is the most that is sent")
    return blocks


def _shared(name: str, value: Any, share: Share) -> tuple[str, str]:
    """Return as much of a value as is shared, and how much that is, in words; "" if it is all there is."""
    if share == "none":
        return type_name(value), TYPE_ONLY
    if share == "summary":
        return f"{measure(value)}\n{render_value(value, PREVIEW)}", render(value, PREVIEW).shown
    text, whole, shown = render(value)
    if not whole:
        size = f"{len(value):,}" if isinstance(value, str) else f"more than {LIMIT:,}"
        raise Oversize(f"{cut(name, _NAME)} has {size} characters; at most {LIMIT:,} of one value are sent")
    return text, shown
