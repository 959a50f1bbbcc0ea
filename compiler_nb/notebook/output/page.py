"""Parts of HTML as one page with our styles, such as pictures and notes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Final

from compiler_nb.drawing.picture import Picture
from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.notebook.output import plans, values

FLAT: Final = 60_000
"""A longer picture (in characters) is not repeated as an image; its table stands in for it."""
LEAST: Final = 0.7
"""The smallest scale at which a picture is shown, if a page has little room."""
_STYLE: Final = (
    ".cnb-out{line-height:1.45;max-width:1900px;container:cnb-out/inline-size}.cnb-out p{margin:.35em 0}"
    ".cnb-out>:not(.cnb-sides){max-width:1100px}"
    "@container cnb-out (min-width:1250px){.cnb-out .cnb-sides{display:grid;gap:28px;align-items:start;"
    "grid-template-columns:fit-content(62%) minmax(320px,1fr)}.cnb-out .cnb-sides>.cnb-plan>summary{list-style:none;"
    "pointer-events:none}.cnb-out .cnb-sides>.cnb-plan::details-content{content-visibility:visible;block-size:auto}}"
    ".cnb-out .cnb-question{opacity:.72;border-left:3px solid #8792a2;padding-left:.7em;margin-bottom:.6em}"
    ".cnb-out .cnb-answer{margin:.4em 0 .6em;font-size:1.08em;overflow-x:auto}"
    ".cnb-out p.cnb-error.cnb-error,.cnb-out pre.cnb-error.cnb-error{border-left:3px solid #c8400a;padding-left:.7em;"
    "white-space:pre-wrap}"
    # JupyterLab breaks errors, which stand in the output below ours, within words
    ".jp-OutputArea:has(.cnb-out) [data-mime-type$=stderr] pre{word-break:normal;overflow-wrap:anywhere}"
    ".cnb-out pre,.cnb-out pre.cnb-error,.cnb-out pre.cnb-lines{overflow-wrap:anywhere;word-break:normal}"
    ".cnb-out .cnb-inline{display:block!important;margin:.5em 0;overflow-x:auto}.cnb-out .cnb-flat{display:none}"
    "@media screen{.cnb-out .cnb-inline>svg{min-width:var(--cnb-least,0)}}"
    ".cnb-out .cnb-footer{opacity:.72;font-size:.9em}"
    ".cnb-out .cnb-footer>summary>span{display:inline-block;max-width:100%;white-space:pre-wrap}"
    ".cnb-out details.cnb-footer:not([open])>summary{height:1.45em;overflow:hidden}"
    "@container cnb-out (min-width:860px){.cnb-out .cnb-brief:not([open])>summary{list-style:none;pointer-events:none}}"
    ".cnb-out table{border-collapse:collapse;margin:.3em 0;font-size:inherit}"
    # JupyterLab's own rules for tables are outweighed: they set all cells to the right
    ".cnb-out.cnb-out table :is(th,td){padding:.15em .8em .15em 0;text-align:left;border-bottom:1px solid #8792a255}"
    ".cnb-out.cnb-out table .cnb-number{text-align:right}" + plans.STYLE
)


def page_of(parts: Iterable[str]) -> str:
    """Return parts of HTML as a page with our styles; empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    scale = PREFERENCES.scale
    size = "" if scale == 1 else f' style="font-size:{100 * scale:g}%"'
    return f'<div class="cnb-out mathjax_ignore tex2jax_ignore"{size}><style>{_STYLE}</style>\n{body}\n</div>'


def picture_html(drawn: Picture, table: str = "", name: str = "the plan", kind: str = "cnb-flat") -> list[str]:
    """Return a picture as HTML; name: what it shows; kind: the classes of the text that stands in for a large image."""
    flat = f'<pre class="{kind}">{preformatted(table or drawn.text)}</pre>'
    if len(drawn.svg) <= FLAT:
        data = base64.b64encode(drawn.svg.encode()).decode()
        flat = f'<img class="cnb-flat" alt="{name}" src="data:image/svg+xml;base64,{data}">'
    least = f"--cnb-least:{LEAST * drawn.width:.0f}px"  # in less room it scrolls
    return [f'<div class="cnb-inline" hidden="hidden" style="{least}">{drawn.svg}</div>', flat]


def preformatted(text: str) -> str:
    """Return preformatted text as HTML."""
    return "\n".join(map(values.inert, text.split("\n")))


def note_html(text: str) -> str:
    """Return a line below the rest as HTML."""
    return f'<p class="cnb-footer">{values.inert(text)}</p>'


def table_page(names: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """Return rows of texts as a page, with a note below."""
    lines = f'<div style="white-space:nowrap;overflow-x:auto">{values.table(names, rows, "")}</div>'
    return page_of([lines, note_html(note) if note else ""])
