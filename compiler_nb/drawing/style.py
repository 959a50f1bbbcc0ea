"""How pictures look: colours for light and dark pages, a mark whose shape shows each state, and the SVG around them.

Colour-blind readers can distinguish the colours (after Okabe and Ito), and each state has its own mark and border.
Text has the boxes' own background; everything outside is a grey that is readable on white and on black.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.outcome import State
from compiler_nb.text import cut

MARKS: Final[Mapping[State, str]] = {
    "waiting": "M-3.6 0h.01M0 0h.01M3.6 0h.01",
    "ready": "M-1.8-3.4 3.4 0-1.8 3.4z",
    "running": "M0-3.9A3.9 3.9 0 1 1-3.9 0",
    "done": "M-3.7.3-1.1 2.9 3.8-2.7",
    "failed": "M-2.8-2.8 2.8 2.8M2.8-2.8-2.8 2.8",
    "skipped": "M-3.2-3.2 0 0-3.2 3.2M.8-3.2 4 0 .8 3.2",
    "cancelled": "M-2.6-2.6h5.2v5.2h-5.2z",
}
"""The path inside the disc of a task, around its middle, by state."""

LIGHT: Final[Mapping[str, str]] = {
    "card": "#ffffff", "ink": "#1c2330", "dim": "#5b6675",
    "waiting": "#8a94a3", "ready": "#465365", "running": "#0b6bcb", "done": "#0b7f5f", "failed": "#c8400a",
    "skipped": "#9b4f96", "cancelled": "#5d6672",
}  # fmt: skip
DARK: Final[Mapping[str, str]] = {
    "card": "#1b2028", "ink": "#eceff4", "dim": "#a3adbb",
    "waiting": "#8a94a3", "ready": "#c3ccd8", "running": "#62b0f7", "done": "#3ecf9f", "failed": "#ff8a57",
    "skipped": "#d79ad2", "cancelled": "#aab3bf",
}  # fmt: skip
HOLLOW: Final = ("waiting", "ready", "skipped", "cancelled")
"""States whose disc is only a ring."""
RUNNING: Final = ".cnb .cnb-running .cnb-disc,.cnb .cnb-cell.cnb-running"
EDGE: Final = "#8792a2"
PALE: Final = "#c3c9d1"
"""The colour of arrows from earlier rounds, for programs that cannot draw them half transparent."""
MARGIN: Final = 16.0
ID: Final = 200
"""Most characters of an id in an attribute."""
SANS: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


def _variables(colours: Mapping[str, str]) -> str:
    return ";".join(f"--cnb-{name}:{colour}" for name, colour in colours.items())


def use(key: str, name: str) -> str:
    """Name a colour twice: programs that do not know variables use the first, the light one."""
    return f"{key}:{LIGHT[name]};{key}:var(--cnb-{name})"


HIDING: Final = f"{use('fill', 'card')};fill:color-mix(in srgb,{EDGE} 22%,var(--jp-layout-color0,var(--cnb-card)))"
"""The ground of the heads of bands: nothing shines through it, so arrows pass behind the words."""

STYLE: Final = "".join(
    [
        f".cnb{{{_variables(LIGHT)}}}",
        f"@media (prefers-color-scheme:dark){{.cnb{{{_variables(DARK)}}}}}",
        f'[data-jp-theme-light="true"] .cnb{{{_variables(LIGHT)}}}',
        f'[data-jp-theme-light="false"] .cnb{{{_variables(DARK)}}}',
        f".cnb text{{font:600 13px {SANS};{use('fill', 'ink')};stroke:none}}",
        f".cnb .cnb-call{{font:11px {MONO};{use('fill', 'dim')}}}",
        f".cnb .cnb-count{{font:600 11.5px {SANS};{use('fill', 'dim')};text-anchor:end}}",
        f".cnb .cnb-time{{font:500 11px {SANS};{use('fill', 'dim')};text-anchor:end}}",
        f".cnb .cnb-time.cnb-on-ink{{{use('fill', 'card')}}}",
        f".cnb .cnb-box{{{use('fill', 'card')};stroke:currentColor;stroke-width:1.3}}",
        f".cnb .cnb-ground{{fill:{EDGE};fill-opacity:.09;stroke:{EDGE};stroke-opacity:.3}}",
        f".cnb .cnb-edge{{fill:none;stroke:{EDGE};stroke-width:1.4}}",
        ".cnb .cnb-link{stroke-opacity:.5}",
        f".cnb .cnb-head{{font-size:12px;{use('fill', 'dim')}}}.cnb .cnb-headline{{{HIDING}}}",
        ".cnb .cnb-turn{stroke-dasharray:11 6}",  # a dash is as long as an arrow's head, so that the head stays whole
        ".cnb .cnb-disc{fill:currentColor;stroke:currentColor;stroke-width:1.4}",
        f".cnb .cnb-mark{{fill:none;{use('stroke', 'card')};stroke-width:1.8}}",
        ".cnb .cnb-mark,.cnb .cnb-edge{stroke-linecap:round;stroke-linejoin:round}",
        ".cnb .cnb-cell{fill:currentColor;stroke:currentColor;stroke-width:1.2}",
        *(f".cnb .cnb-{state}{{{use('color', state)}}}" for state in MARKS),
        *(f".cnb .cnb-{state} .cnb-disc,.cnb .cnb-cell.cnb-{state}{{fill-opacity:0}}" for state in HOLLOW),
        *(f".cnb .cnb-{state} .cnb-mark{{stroke:currentColor}}" for state in HOLLOW),
        ".cnb .cnb-waiting .cnb-box{stroke-dasharray:4 3}",
        ".cnb .cnb-running .cnb-box,.cnb .cnb-failed .cnb-box{stroke-width:2.2}",
        ".cnb .cnb-skipped .cnb-box,.cnb .cnb-cell.cnb-skipped{stroke-dasharray:2 3}",
        ".cnb .cnb-cancelled .cnb-box{stroke-dasharray:9 4}",
        ".cnb .cnb-cell.cnb-failed{fill-opacity:0;stroke-width:3}",
        ".cnb .cnb-cell.cnb-dense{stroke:none}.cnb .cnb-cell.cnb-dense.cnb-failed{fill-opacity:1}",
        f".cnb .cnb-skipped .cnb-id,.cnb .cnb-cancelled .cnb-id{{{use('fill', 'dim')}}}",
        f".cnb .cnb-end .cnb-box{{{use('fill', 'ink')};stroke:none}}",
        f".cnb .cnb-end text{{{use('fill', 'card')};text-anchor:middle}}",
        f".cnb .cnb-more .cnb-box{{{use('stroke', 'dim')};stroke-dasharray:1 4;stroke-linecap:round}}",
        f"@media (prefers-reduced-motion:no-preference){{{RUNNING}{{animation:cnb-breathe 1.6s infinite}}}}",
        "@keyframes cnb-breathe{50%{opacity:.45}}",
    ]
)
"""The style sheet of every picture. Its rules begin with `.cnb`: an SVG's style applies to the whole page around it."""
TIMELINE_STYLE: Final = STYLE + "".join(
    [
        f".cnb .cnb-paper{{{use('fill', 'card')};stroke:{EDGE};stroke-opacity:.4}}",
        f".cnb .cnb-strip{{fill:{EDGE};fill-opacity:.12}}.cnb text.cnb-role.cnb-key{{{use('fill', 'ink')}}}",
        f".cnb .cnb-grid{{fill:none;stroke:{EDGE};stroke-opacity:.28}}",
        f".cnb .cnb-tick,.cnb .cnb-time,.cnb .cnb-words,.cnb .cnb-role{{{use('fill', 'dim')}}}",
        ".cnb .cnb-tick,.cnb .cnb-time,.cnb .cnb-words,.cnb .cnb-role{font-size:11px;font-weight:400}",
        ".cnb .cnb-tick{text-anchor:middle}.cnb .cnb-time{text-anchor:end}.cnb .cnb-words{font-size:12px}",
        ".cnb .cnb-row text.cnb-name{font-size:12px;font-weight:400}",
        ".cnb .cnb-row text.cnb-key,.cnb text.cnb-band{font-weight:700}",
        ".cnb .cnb-row.cnb-dense text{font-size:10px}.cnb .cnb-dense .cnb-mark{stroke:currentColor;stroke-width:1.5}",
        ".cnb .cnb-span{fill:currentColor;stroke:currentColor;stroke-width:1}",
        ".cnb .cnb-span.cnb-failed,.cnb .cnb-span.cnb-cancelled{fill-opacity:.12;stroke-width:1.8}",
        ".cnb .cnb-span.cnb-cancelled{stroke-dasharray:5 3}.cnb .cnb-span.cnb-running{fill-opacity:.55}",
        f".cnb .cnb-rest{{{use('fill', 'waiting')};fill-opacity:.16}}",
        f".cnb .cnb-stripes{{fill:none;{use('stroke', 'waiting')};stroke-dasharray:1.4 4.2}}",
        f".cnb .cnb-think,.cnb .cnb-write{{{use('fill', 'dim')}}}.cnb .cnb-think{{fill-opacity:.3}}",
        f".cnb .cnb-path{{fill:none;{use('stroke', 'ink')};stroke-width:1.6;stroke-linejoin:round}}",
    ]
)


def page(
    name: str,
    about: str,
    bounds: tuple[float, float, float, float],
    style: str,
    body: Iterable[str],
    *,
    kind: str = "cnb",
) -> str:
    """Return a self-contained SVG.

    name, about: what it shows, in words; bounds: left, top, width and height; body: its parts; kind: its classes.
    """
    corners = [px(each) for each in bounds]
    words = escape(about)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="{kind}" role="img" aria-label="{name}: {words}"'
    wide, high = (px(each * PREFERENCES.scale) for each in bounds[2:])
    size = f'width="{wide}" height="{high}" viewBox="{" ".join(corners)}"'
    inner = f"<title>{name}</title><desc>{words}</desc><style>{style}</style>"
    return "\n".join([f'{head} {size} style="max-width:100%;height:auto">', inner, *body, "</svg>", ""])


def px(value: float) -> str:
    """Return a number of pixels as an attribute, to a tenth."""
    return f"{round(value, 1):g}"


def draw_mark(state: State, x: float, y: float, *, disc: bool = True) -> str:
    """Return the mark of a state with its middle at (x, y), on its disc if wanted."""
    place = f'cx="{px(x)}" cy="{px(y)}"'
    below = f'<circle class="cnb-disc" {place} r="8"/>' if disc else ""
    return f'{below}<path class="cnb-mark" transform="translate({px(x)} {px(y)})" d="{MARKS[state]}"/>'


def data_of(task: str, state: State | None) -> str:
    """Return the attributes that name a task and its state."""
    return f'data-task="{escape(cut(task, ID))}" data-state="{state}"'
