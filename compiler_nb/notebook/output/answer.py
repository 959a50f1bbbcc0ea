"""An answer as inert HTML and as plain text.

Text is read as a little Markdown: paragraphs, headings, lists, bold, italics and code. Links, images and HTML are shown
as they are written: nothing in an answer can act, load or lead anywhere.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import islice
from typing import Any, Final

from compiler_nb.text import TIMES, cut, shorten, shorten_value, visible, visible_lines
from compiler_nb.trace import Progress

LIMIT: Final = 20_000
"""Characters of an answer that are shown; the rest is counted."""
ROWS, COLUMNS, CELL = 20, 12, 200
NAME: Final = 40
PICTURE: Final = 2_000_000
"""Most bytes of a value's own picture."""
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)")
_ITEM = re.compile(r"\s*(?:([-*+])|(\d{1,9})[.)])\s+(.*)")
_INLINE = re.compile(r"(`+)(?P<code>.+?)\1|\*\*(?P<b>\S(?:.*?\S)?)\*\*|(?<![\w*])\*(?P<i>\S(?:[^*]*?\S)?)\*(?![\w*])")
"""Code, bold and italics; the groups have the names of their tags."""


def to_html(value: Any) -> str:
    """Return any value as HTML: text as Markdown, tables and records as tables, a picture as a picture."""
    if isinstance(value, str):
        return markdown(shorten(value, LIMIT))
    try:
        special = _table_of(value) or _picture_of(value)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        special = ""
    return special or f"<p><code>{inert(shorten_value(value, 2_000))}</code></p>"


def to_text(value: Any) -> str:
    """Return any value as plain text, the same for equal values."""
    if isinstance(value, str):
        return visible_lines(shorten(value, LIMIT))
    if isinstance(value, dict) and value:
        more = [f"… {len(value) - ROWS:,} more"] if len(value) > ROWS else []
        return "\n".join([*(f"{_cell(key)}: {_cell(item)}" for key, item in islice(value.items(), ROWS)), *more])
    return shorten_value(value, 2_000)


def note_of(progress: Progress) -> str:
    """Return what an answer lacks, "" if nothing: its end, or items of fan-outs that failed."""
    cut_off = [f"the answer is {progress.cut}"] if progress.cut else []
    left_out = [
        f"without {f'{failed:,} of {count:,} ' if count else ''}items of {cut(id_, NAME)}, which failed"
        for id_, (failed, count) in progress.left_out.items()
    ]
    return "; ".join(cut_off + left_out)


def inert(text: str) -> str:
    """Return text as HTML that shows it, dollar signs included: pages read `$…$` as formulas."""
    return escape(visible(text)).replace("$", "<span>$</span>")


def timed(text: str) -> str:
    """Return text that differs from run to run as HTML: marked, so that who compares notebooks can leave it out."""
    return f'<span class="cnb-time">{inert(text)}</span>'


def inert_lines(text: str) -> str:
    """Return a text with its lines as HTML that shows it."""
    return "<br>".join(map(inert, text.split("\n")))


# ---------------------------------------------------------------- Markdown


def markdown(text: str) -> str:
    """Return a text in Markdown as HTML without links, images or any of its own HTML."""
    return "".join(_blocks(text.split("\n")))


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    paragraph: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        fence, heading, item = _FENCE.match(line), _HEADING.match(line), _ITEM.match(line)
        if paragraph and (fence or heading or item or not line.strip()):
            yield f"<p>{'<br>'.join(map(inline, paragraph))}</p>"
            paragraph = []
        if fence:
            end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[1]), len(lines))
            yield f"<pre>{'<br>'.join(map(inert, lines[number + 1 : end]))}</pre>"
            number = end
        elif heading:
            yield f"<p><b>{inline(heading[1])}</b></p>"
        elif item:
            end = next((n for n in range(number, len(lines)) if not _ITEM.match(lines[n])), len(lines))
            yield from _list([_ITEM.match(each) for each in lines[number:end]])
            number = end - 1
        elif line.strip():
            paragraph.append(line.strip())
        number += 1
    if paragraph:
        yield f"<p>{'<br>'.join(map(inline, paragraph))}</p>"


def _list(items: Iterable[re.Match[str] | None]) -> Iterator[str]:
    """Yield a flat list; a numbered one keeps its first number."""
    found = [item for item in items if item]
    numbered = found[0][2]
    yield f'<ol start="{int(numbered)}">' if numbered else "<ul>"
    yield from (f"<li>{inline(item[3])}</li>" for item in found)
    yield "</ol>" if numbered else "</ul>"


def inline(text: str) -> str:
    """Return one line with bold, italics and code."""
    parts, position = [], 0
    for match in _INLINE.finditer(text):
        tag = str(match.lastgroup)
        parts += [inert(text[position : match.start()]), f"<{tag}>{inert(match[tag])}</{tag}>"]
        position = match.end()
    return "".join([*parts, inert(text[position:])])


# ---------------------------------------------------------------- tables and pictures


def _table_of(value: Any) -> str:
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, pandas.Series):
        value = value.to_frame()
    if pandas and isinstance(value, pandas.DataFrame):
        shown = value.iloc[:ROWS, :COLUMNS]
        columns = [shown.iloc[:, number].tolist() for number in range(shown.shape[1])]
        rows = [list(map(_cell, row)) for row in zip(shown.index, *columns, strict=True)]
        about = f"{value.shape[0]:,} rows {TIMES} {value.shape[1]:,} columns"
        return table(["", *map(_cell, shown.columns)], rows, about)
    if type(value) is dict and value:
        pairs = [[_cell(key), _cell(item)] for key, item in islice(value.items(), ROWS)]
        return table([], pairs, f"{len(value):,} entries" if len(value) > ROWS else "")
    if type(value) is list and value and all(type(row) is dict for row in value[:ROWS]):
        keys = list(dict.fromkeys(key for row in value[:ROWS] for key in row))[:COLUMNS]
        rows = [[_cell(row[key]) if key in row else "" for key in keys] for row in value[:ROWS]]
        return table([_cell(key) for key in keys], rows, f"{len(value):,} rows" if len(value) > ROWS else "")
    return ""


def _cell(value: Any) -> str:
    return visible(value) if isinstance(value, str) and len(value) <= CELL else shorten_value(value, CELL)


def table(names: Sequence[str], rows: Iterable[Sequence[str]], about: str) -> str:
    """Return rows of texts as a table, and a line about it below; the names of columns may be missing."""
    head = f"<thead><tr>{''.join(f'<th>{inert(name)}</th>' for name in names)}</tr></thead>" if names else ""
    body = "".join(f"<tr>{''.join(f'<td>{inert(cell)}</td>' for cell in row)}</tr>" for row in rows)
    note = f"<p><small>{escape(about)}</small></p>" if about else ""
    return f"<table>{head}<tbody>{body}</tbody></table>{note}"


def _picture_of(value: Any) -> str:
    """Return the PNG that a value can show of itself; never its SVG or HTML, which may hold anything."""
    own = getattr(type(value), "_repr_png_", None)
    made = own(value) if own else _draw_figure(value)
    data = made[0] if isinstance(made, tuple) else made
    if isinstance(data, str):
        data = base64.b64decode(data)
    if not isinstance(data, bytes) or not data.startswith(b"\x89PNG") or len(data) > PICTURE:
        return ""
    return f'<img alt="{escape(type(value).__name__)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def _draw_figure(value: Any) -> bytes:
    """Return the PNG of a matplotlib figure, which has no `_repr_png_` of its own; nothing for all else."""
    figures, page = sys.modules.get("matplotlib.figure"), io.BytesIO()
    if figures and isinstance(value, figures.Figure):
        value.savefig(page, format="png", bbox_inches="tight", metadata={"Software": None})
    return page.getvalue()
