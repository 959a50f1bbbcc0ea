"""A grid as a page: a table whose rows can be sorted and opened without any script, and the bar while it goes on.

Theory of operation
    Each row carries its place in the order of each column as a CSS variable, and each column's head has two radio
    buttons, for up and for down; the style sheet makes the chosen variable the rows' `order`. So a click sorts, in a
    live page and in a saved notebook, and nothing in the output acts. A page that does not trust the notebook strips
    the style sheet, and shows the same table as it stands. The buttons of a table stand in a form of its own:
    those of another table on the page do not hear of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from compiler_nb.compare.cells import CellPlace
from compiler_nb.compare.grid import Grid
from compiler_nb.compare.table import COLUMNS, GridRow, values_of, words_of
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import mask
from compiler_nb.notebook.output.values import inert, timed
from compiler_nb.text import cut, literal, seconds_text, shorten_value

SHOWN: Final = 100
"""Characters of an answer, or of an error, that are shown of a cell."""
ROWS: Final = 300
"""Most rows of a table in a page; the others are counted."""
OPENED: Final = 1_000
"""Most cells that can be seen one by one in a page."""
MOST: Final = 14
"""Most columns of a table."""
_TEXT: Final = ("variant", "question", "answer")
_SORTS: Final = "".join(
    f".cnb-cells:has(th:nth-child({n + 1}) .cnb-{way} :checked) td{{--at:{at.format(n)}}}"
    for n in range(MOST)
    for way, at in (("up", "var(--s{0},var(--t{0}))"), ("down", "calc(var(--rows) - var(--s{0},var(--t{0})))"))
)  # fmt: skip
_UP, _DOWN = "th:has(.cnb-up :checked)", "th:has(.cnb-down :checked)"
_STYLE: Final = (
    ".cnb-grid{line-height:1.45;max-width:1900px}.cnb-grid p{margin:.35em 0}"
    ".cnb-grid p.cnb-footer{opacity:.72;font-size:.9em}"
    ".cnb-grid p.cnb-bad{border-left:3px solid #c8400a;padding-left:.7em}"
    ".cnb-grid .cnb-scroll{overflow-x:auto;margin:.5em 0 .7em}"
    ".cnb-grid table.cnb-cells{display:grid;width:fit-content;max-width:100%;"
    "border:0;margin:0;font-size:inherit;color:inherit;"
    "grid-template-columns:repeat(var(--columns),auto)}"
    ".cnb-grid .cnb-cells :is(thead,tbody,tr){display:contents}"
    ".cnb-grid .cnb-cells :is(th,td){order:var(--at,0);padding:.25em .9em .25em .3em;text-align:left;"
    "white-space:nowrap;border:0;border-bottom:1px solid #8792a255;background:none;font-variant-numeric:tabular-nums}"
    ".cnb-grid .cnb-cells th{order:-1;font-weight:600;position:relative}"
    ".cnb-grid .cnb-cells .cnb-number{text-align:right}"
    ".cnb-grid .cnb-cells .cnb-question,.cnb-grid .cnb-cells .cnb-answer{white-space:normal;max-width:20em;"
    "min-width:9em;overflow-wrap:anywhere}"
    # a label lies over the whole head: the one that sorts upwards, and once that is chosen the other one
    ".cnb-grid .cnb-cells th label{display:block!important;position:absolute;inset:0;cursor:pointer;z-index:1}"
    ".cnb-grid .cnb-cells th input{position:absolute;opacity:0;pointer-events:none;margin:0}"
    ".cnb-grid .cnb-cells th:hover{background:#8792a21f}.cnb-grid .cnb-cells th .cnb-up{z-index:2}"
    f".cnb-grid .cnb-cells {_UP} .cnb-down{{z-index:3}}"
    f".cnb-grid {_UP}::after{{content:' \\25b4'}}.cnb-grid {_DOWN}::after{{content:' \\25be'}}"
    ".cnb-grid .cnb-cells th:has(:focus-visible){outline:2px solid #6c8ebf;outline-offset:-2px}"
    ".cnb-grid details summary{cursor:pointer}"
    ".cnb-grid .cnb-cell{display:block;padding:.15em 0 .1em 1em;font-size:.93em}"
    ".cnb-grid code{user-select:all;background:#8792a21a;border-radius:4px;padding:0 .3em;color:inherit}"
    ".cnb-grid .cnb-bar{height:8px;width:min(420px,100%);border-radius:4px;background:#8792a233;overflow:hidden}"
    ".cnb-grid .cnb-bar i{display:block;height:100%;background:#4f7fd0}" + _SORTS
)


def grid_page(grid: Grid, name: str = "grid", last: str = "") -> str:
    """Return a grid as a page; name: the variable that holds it; last: the line below it."""
    parts = [f'<p class="{"cnb-bad" if grid.error else "cnb-heading"}">{inert(grid.heading)}</p>']
    if len(grid.cases) > 1:
        parts.append(_table(["variant"], [_line(variant, "", row) for variant, row in grid.summary.items()]))
    shown, opens = list(grid.rows.items())[:ROWS], grid.total <= OPENED
    parts.append(_table(_TEXT, [
        _line(
            variant, grid.cases[number].question, row,
            _repetitions(grid, name, variant, number) if opens and row.cells else "",
        )
        for (variant, number), row in shown
    ]))  # fmt: skip
    more = len(grid.rows) - len(shown)
    notes = [*([f"… {more:,} more rows: {name}.to_pandas('question')"] if more else []), *grid.notes]
    done = next((place for place in grid.places if place in grid.cells), None)  # the same, whichever ended first
    if done is not None:
        notes.append(f"{code_of(name, done)} is a cell's run; {name}.to_pandas() has a row for each")
    parts += (f'<p class="cnb-footer">{inert(note)}</p>' for note in [*notes, last] if note)
    if grid.taken:
        told = f"{grid.taken:,} of these cells are from before; fresh=True, or --fresh, runs them again"
        parts.append(f'<p class="cnb-footer">{timed(told)}</p>')
    return _page(mask("\n".join(parts), known_secrets()))


def bar_page(grid: Grid, told: str) -> str:
    """Return how far a grid is, as a page."""
    share = 100 * len(grid.cells) / max(1, grid.total)
    return _page(f'<div class="cnb-bar"><i style="width:{share:.1f}%"></i></div><p>{inert(told)}</p>')


def _page(body: str) -> str:
    return f'<div class="cnb-grid mathjax_ignore tex2jax_ignore"><style>{_STYLE}</style>\n{body}\n</div>'


# ---------------------------------------------------------------- the table


class _Line(NamedTuple):
    """A row of a table: its texts by column, the numbers by which it is sorted, and what opens below its answer."""

    texts: dict[str, str]
    numbers: dict[str, float]
    opened: str = ""


def _line(variant: str, question: str, row: GridRow, opened: str = "") -> _Line:
    texts = {"variant": variant, "question": " ".join(question.split()), **words_of(row)}
    return _Line(texts, values_of(row), opened)


def _table(heads: Sequence[str], lines: Sequence[_Line]) -> str:
    """Return rows as a table; heads: the columns before the numbers."""
    columns = [*heads, *(name for name in COLUMNS if name != "answer" and any(each.texts[name] for each in lines))]
    ranks = {column: _ranks(column, lines) for column in columns}
    head = "".join(_head(column) for column in columns)
    rows = "".join(
        f'<tr style="{";".join(f"{_mark(column)}{n}:{ranks[column][at]}" for n, column in enumerate(columns))}">'
        f"{''.join(_cell(column, line) for column in columns)}</tr>"
        for at, line in enumerate(lines)
    )
    size = f"--columns:{len(columns)};--rows:{len(lines)}"
    table = f'<table class="cnb-cells" style="{size}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="cnb-scroll"><form>{table}</form></div>'


def _ranks(column: str, lines: Sequence[_Line]) -> list[int]:
    """Return the place of each row in the order of a column; rows without a number come first."""
    keys: list[Any] = [
        line.texts[column].casefold() if column in _TEXT else line.numbers.get(column, -math.inf) for line in lines
    ]
    places = {key: number for number, key in enumerate(sorted(set(keys)))}
    return [places[key] for key in keys]


def _mark(column: str) -> str:
    """Return the name of a row's place in the order of a column: that of times differs from run to run."""
    return "--t" if column == "seconds" else "--s"


def _head(column: str) -> str:
    """Return the head of a column: a click sorts by it, the next one the other way round."""
    labels = "".join(
        f'<label class="cnb-{way}" hidden="hidden" title="sort: {told}">'
        f'<input type="radio" name="sort" aria-label="sort by {column}, {told}"></label>'
        for way, told in (("up", "the lowest first"), ("down", "the highest first"))
    )
    return f'<th class="{_kind(column)}">{column}{labels}</th>'


def _kind(column: str) -> str:
    if column == "wrong type":  # as long as an answer
        return "cnb-answer"
    return f"cnb-{column}" if column in _TEXT else "cnb-number"


def _cell(column: str, line: _Line) -> str:
    text = inert(line.texts[column])
    if column == "answer" and line.opened:
        text = f"<details><summary>{text or 'no answer'}</summary>{line.opened}</details>"
    elif column == "seconds":
        text = timed(line.texts[column])
    return f'<td class="{_kind(column)}">{text}</td>'


def _repetitions(grid: Grid, name: str, variant: str, question: int) -> str:
    """Return the cells of a row one by one: how to get the run, and how it went."""
    lines = []
    for turn in range(grid.repeat):
        place = CellPlace(variant, question, turn)
        if (cell := grid.cells.get(place)) is not None:
            score = f" · {cell.score:.2f}" if cell.score is not None else f" · {cell.unscored}" if cell.unscored else ""
            told = shorten_value(cell.answer, SHOWN) if cell.answered else cut(f"{cell.status}: {cell.error}", SHOWN)
            told += f" · at first {cut(cell.misfit, SHOWN)}" if cell.answered and cell.refused else ""
            lines.append(
                f'<span class="cnb-cell"><code>{inert(code_of(name, place))}</code> {inert(f"{told}{score}")}'
                f"{timed(f' · {seconds_text(cell.seconds)}')}</span>"
            )
    return "".join(lines)


def code_of(name: str, place: CellPlace) -> str:
    """Return the code that opens a cell's run."""
    return f"{name}[{literal(place.variant)}, {place.question}, {place.repetition}]"
