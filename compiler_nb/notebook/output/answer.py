"""An answer as inert HTML and as plain text.

Text is read as a little Markdown: paragraphs, headings, lists, tables, formulas, bold, italics and code. Links, images
and HTML are shown as they are written: nothing in an answer can act, load or lead anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from compiler_nb.notebook.output import formulas, values
from compiler_nb.notebook.output.parts import shown
from compiler_nb.notebook.output.values import ROWS, inert
from compiler_nb.run import Run
from compiler_nb.text import cut, shorten, shorten_value, visible_lines
from compiler_nb.trace import Progress

LIMIT: Final = 20_000
"""Characters of an answer that are shown; the rest is counted."""
NAME: Final = 40
_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.*)")
_ITEM = re.compile(r"\s*(?:([-*+])|(\d{1,9})[.)])\s+(.*)")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
"""The line below the heads of a table."""
_DISPLAYED = {"$$": "$$", "\\[": "\\]", "\\\\[": "\\\\]"}
_INLINE = re.compile(r"(`+)(?P<code>.+?)\1|\*\*(?P<b>\S(?:.*?\S)?)\*\*|(?<![\w*])\*(?P<i>\S(?:[^*]*?\S)?)\*(?![\w*])"
                     rf"|{formulas.INLINE}")  # fmt: skip
"""Code, bold, italics and formulas; the groups of the first three have the names of their tags."""


def to_html(value: Any) -> str:
    """Return any value as HTML: text as Markdown, tables and records as tables, a picture as a picture."""
    if isinstance(value, str):
        return markdown(shorten(value, LIMIT))
    try:
        parts = shown(value)
    except Exception:  # noqa: BLE001 - a value's own methods may raise anything
        parts = ""
    return parts or f"<p><code>{values.brief(value, 2_000)}</code></p>"


def to_text(value: Any) -> str:
    """Return any value as plain text, the same for equal values."""
    if isinstance(value, str):
        return visible_lines(shorten(value, LIMIT))
    if isinstance(value, dict) and value:
        more = [f"… {len(value) - ROWS:,} more"] if len(value) > ROWS else []
        lines = (f"{values.cell_text(key)}: {values.cell_text(item)}" for key, item in islice(value.items(), ROWS))
        return "\n".join([*lines, *more])
    return shorten_value(value, 2_000)


def note_of(progress: Progress) -> str:
    """Return what an answer lacks, "" if nothing: its end, or items of fan-outs that failed."""
    cut_off = [f"the answer is {progress.cut}"] if progress.cut else []
    left_out = [
        f"without {f'{failed:,} of {count:,} ' if count else ''}items of {cut(id_, NAME)}, which failed"
        for id_, (failed, count) in progress.left_out.items()
    ]
    return "; ".join(cut_off + left_out)


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
        table, formula = _end_of_table(lines, number), _displayed(lines, number)
        if paragraph and (fence or heading or item or table or formula or not line.strip()):
            yield f"<p>{'<br>'.join(map(inline, paragraph))}</p>"
            paragraph = []
        if fence:
            end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == fence[1]), len(lines))
            yield f"<pre>{'<br>'.join(map(inert, lines[number + 1 : end]))}</pre>"
            number = end
        elif heading:
            yield f"<p><b>{inline(heading[1])}</b></p>"
        elif table:
            heads, _, *rows = (_cells(each) for each in lines[number:table])
            yield values.table_html(heads, [[*row, *[""] * len(heads)][: len(heads)] for row in rows])
            number = table - 1
        elif formula:
            end, tex = formula
            yield f"<p>{formulas.formula_html(tex, block=True)}</p>"
            number = end - 1
        elif item:
            end = next((n for n in range(number, len(lines)) if not _ITEM.match(lines[n])), len(lines))
            yield from _list([_ITEM.match(each) for each in lines[number:end]])
            number = end - 1
        elif line.strip():
            paragraph.append(line.strip())
        number += 1
    if paragraph:
        yield f"<p>{'<br>'.join(map(inline, paragraph))}</p>"


def _end_of_table(lines: Sequence[str], number: int) -> int:
    """Return the number of the line after the table that begins in a line, 0 if none does."""
    if "|" not in lines[number] or number + 1 >= len(lines) or not _RULE.fullmatch(lines[number + 1]):
        return 0
    if "|" not in lines[number + 1] and len(_cells(lines[number])) > 1:
        return 0
    return next((n for n in range(number + 2, len(lines)) if "|" not in lines[n]), len(lines))


def _cells(line: str) -> list[str]:
    """Return the cells of a table's line as HTML."""
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [inline(cell.strip().replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", inner)]


def _displayed(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    """Return the number of the line after a formula on lines of its own, and the formula; None if none begins here."""
    first = lines[number].strip()
    mark = next((mark for mark in _DISPLAYED if first.startswith(mark)), "")
    if not mark:
        return None
    closing, text = _DISPLAYED[mark], ""
    for end in range(number, min(number + 20, len(lines))):
        text = f"{text} {lines[end].strip()}".strip()
        if text.endswith(closing) and len(text) > len(mark) + len(closing):
            tex = text[len(mark) : -len(closing)].strip()
            tex = formulas.undoubled(tex) if mark == "\\\\[" else tex
            return (end + 1, tex) if formulas.is_formula(tex) else None
    return None


def _list(items: Iterable[re.Match[str] | None]) -> Iterator[str]:
    """Yield a flat list; a numbered one keeps its first number."""
    found = [item for item in items if item]
    numbered = found[0][2]
    yield f'<ol start="{int(numbered)}">' if numbered else "<ul>"
    yield from (f"<li>{inline(item[3])}</li>" for item in found)
    yield "</ol>" if numbered else "</ul>"


def inline(text: str) -> str:
    """Return one line with bold, italics, code and formulas."""
    parts, position = [], 0
    for match in _INLINE.finditer(text):
        parts += [inert(text[position : match.start()]), _marked(match)]
        position = match.end()
    return "".join([*parts, inert(text[position:])])


def _marked(match: re.Match[str]) -> str:
    tag = str(match.lastgroup)
    if tag in ("block", "tex", "paren", "doubled"):
        tex = formulas.undoubled(match[tag].strip()) if tag == "doubled" else match[tag].strip()
        return formulas.formula_html(tex, block=tag == "block") if formulas.is_formula(tex) else inert(match[0])
    return f"<{tag}>{inert(match[tag])}</{tag}>"


def has_answer(run: Run) -> bool:
    """Whether a run has answered; one that was stopped may have, and one that only made a plan has not."""
    return run.answer is not None or (run.status == "done" and any(each.decision for each in run.rounds))
