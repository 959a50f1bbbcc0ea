"""How pictures look: colours for light and dark pages, and a mark whose shape shows each state.

Colour-blind readers can distinguish the colours (after Okabe and Ito), and each state has its own mark and border.
Text has the boxes' own background; everything outside is a grey that is readable on white and on black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler_nb.outcome import State

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

LIGHT: Final = {
    "card": "#ffffff", "ink": "#1c2330", "dim": "#5b6675",
    "waiting": "#8a94a3", "ready": "#465365", "running": "#0b6bcb", "done": "#0b7f5f", "failed": "#c8400a",
    "skipped": "#9b4f96", "cancelled": "#5d6672",
}  # fmt: skip
DARK: Final = {
    "card": "#1b2028", "ink": "#eceff4", "dim": "#a3adbb",
    "waiting": "#8a94a3", "ready": "#c3ccd8", "running": "#62b0f7", "done": "#3ecf9f", "failed": "#ff8a57",
    "skipped": "#d79ad2", "cancelled": "#aab3bf",
}  # fmt: skip
HOLLOW: Final = ("waiting", "ready", "skipped", "cancelled")
"""States whose disc is only a ring."""
RUNNING: Final = ".cnb .cnb-running .cnb-disc,.cnb .cnb-cell.cnb-running"
EDGE: Final = "#8792a2"
MARGIN: Final = 16.0
SANS: Final = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
MONO: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


def _variables(colours: dict[str, str]) -> str:
    return ";".join(f"--cnb-{name}:{colour}" for name, colour in colours.items())


def _use(key: str, name: str) -> str:
    """Name a colour twice: programs that do not know variables use the first, the light one."""
    return f"{key}:{LIGHT[name]};{key}:var(--cnb-{name})"


def _style() -> str:
    return "".join(
        [
            f".cnb{{{_variables(LIGHT)}}}",
            f"@media (prefers-color-scheme:dark){{.cnb{{{_variables(DARK)}}}}}",
            f'[data-jp-theme-light="true"] .cnb{{{_variables(LIGHT)}}}',
            f'[data-jp-theme-light="false"] .cnb{{{_variables(DARK)}}}',
            f".cnb text{{font:600 13px {SANS};{_use('fill', 'ink')};stroke:none}}",
            f".cnb .cnb-call{{font:11px {MONO};{_use('fill', 'dim')}}}",
            f".cnb .cnb-count{{font:600 11.5px {SANS};{_use('fill', 'dim')};text-anchor:end}}",
            f".cnb .cnb-box{{{_use('fill', 'card')};stroke:currentColor;stroke-width:1.3}}",
            f".cnb .cnb-ground{{fill:{EDGE};fill-opacity:.09;stroke:{EDGE};stroke-opacity:.3}}",
            f".cnb .cnb-edge{{fill:none;stroke:{EDGE};stroke-width:1.4}}",
            ".cnb .cnb-disc{fill:currentColor;stroke:currentColor;stroke-width:1.4}",
            f".cnb .cnb-mark{{fill:none;{_use('stroke', 'card')};stroke-width:1.8}}",
            ".cnb .cnb-mark,.cnb .cnb-edge{stroke-linecap:round;stroke-linejoin:round}",
            ".cnb .cnb-cell{fill:currentColor;stroke:currentColor;stroke-width:1.2}",
            *(f".cnb .cnb-{state}{{{_use('color', state)}}}" for state in MARKS),
            *(f".cnb .cnb-{state} .cnb-disc,.cnb .cnb-cell.cnb-{state}{{fill-opacity:0}}" for state in HOLLOW),
            *(f".cnb .cnb-{state} .cnb-mark{{stroke:currentColor}}" for state in HOLLOW),
            ".cnb .cnb-waiting .cnb-box{stroke-dasharray:4 3}",
            ".cnb .cnb-running .cnb-box,.cnb .cnb-failed .cnb-box{stroke-width:2.2}",
            ".cnb .cnb-skipped .cnb-box,.cnb .cnb-cell.cnb-skipped{stroke-dasharray:2 3}",
            ".cnb .cnb-cancelled .cnb-box{stroke-dasharray:9 4}",
            ".cnb .cnb-cell.cnb-failed{fill-opacity:0;stroke-width:3}",
            f".cnb .cnb-skipped .cnb-id,.cnb .cnb-cancelled .cnb-id{{{_use('fill', 'dim')}}}",
            f".cnb .cnb-end .cnb-box{{{_use('fill', 'ink')};stroke:none}}",
            f".cnb .cnb-end text{{{_use('fill', 'card')};text-anchor:middle}}",
            f".cnb .cnb-more .cnb-box{{{_use('stroke', 'dim')};stroke-dasharray:1 4;stroke-linecap:round}}",
            f"@media (prefers-reduced-motion:no-preference){{{RUNNING}{{animation:cnb-breathe 1.6s infinite}}}}",
            "@keyframes cnb-breathe{50%{opacity:.45}}",
        ]
    )


STYLE: Final = _style()
