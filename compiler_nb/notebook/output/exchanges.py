"""What a model was asked and what it replied, as inert HTML and as text, with the changes since another call marked."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from compiler_nb.notebook.output.values import inert_lines
from compiler_nb.prompts.changes import changes, mark_lines
from compiler_nb.trace import Exchange

LONGEST: Final = 200_000
"""Characters of a prompt, and of a reply, that a page shows."""
HEADINGS: Final = ("sent", "came back")
STYLE: Final = (
    ".cnb-changed ins{background:#2da44e33;text-decoration:none;box-shadow:0 1px #2da44e}"
    ".cnb-changed del{background:#e5534b30;text-decoration:line-through #e5534b99}"
    ".cnb-changed pre{white-space:pre-wrap;overflow-wrap:anywhere;word-break:normal}"
)
_TAGS: Final = {"-": ("<del>", "</del>"), "+": ("<ins>", "</ins>"), " ": ("", "")}


def exchange_html(found: Exchange, old: Exchange | None, name: str = "the run before") -> str:
    """Return both texts of a call under headings; name: what the call to compare with is called."""
    before = (old.sent, old.reply) if old is not None else (None, None)
    parts = []
    for heading, text, other in zip(HEADINGS, (found.sent, found.reply), before, strict=True):
        parts.append(f"<h5>{heading}{escape(_compared(text, other, name))}</h5>{_marked(text, other)}")
    return "".join(parts)


def exchange_text(found: Exchange, old: Exchange | None, name: str = "the run before") -> str:
    """Return both texts of a call for a terminal: lines that came begin with +, lines that went with -."""
    before = (old.sent, old.reply) if old is not None else (None, None)
    parts = []
    for heading, text, other in zip(HEADINGS, (found.sent, found.reply), before, strict=True):
        shown = text if other is None or other == text else mark_lines(other, text)
        parts.append(f"---- {heading}{_compared(text, other, name)}\n{shown}".rstrip())
    return "\n\n".join(parts)


def _compared(text: str, other: str | None, name: str) -> str:
    if other is None:
        return ""
    return f" (the same as in {name})" if other == text else f" (changes since {name} are marked)"


def _marked(text: str, other: str | None) -> str:
    passages = changes(text if other is None else other, text)
    return f"<pre>{''.join(_pieces([(each.mark, each.text) for each in passages]))}</pre>"


def _pieces(passages: list[tuple[str, str]]) -> Iterator[str]:
    left = LONGEST
    for mark, text in passages:
        begin, end = _TAGS[mark]
        yield f"{begin}{inert_lines(text[:left])}{end}"
        left -= len(text)
        if left <= 0:
            yield f"<br>… {-left:,} more characters" if left else ""
            return
