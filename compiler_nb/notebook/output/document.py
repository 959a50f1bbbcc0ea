"""A run as a page of its own: what a cell shows, with timeline and table, in one file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Final

from compiler_nb.notebook.output.show import Look, bundle
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.run import Run
from compiler_nb.text import cut

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Nothing on the page may run or be fetched, whatever stands in it."""
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;padding:0 1.5em;"
    "max-width:1300px}pre{font-size:13px;overflow-x:auto}"
)


def run_page(run: Run) -> str:
    """Return a run as a whole HTML page, without keys."""
    title = escape(cut(run.question or "a plan", 80))
    shown = bundle(run, Binding(), Look(("graph", "timeline", "table")))["text/html"]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{shown}\n</body>\n</html>\n"
    )
