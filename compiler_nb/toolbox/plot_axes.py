"""How charts look: colours, names along axes, and texts that are drawn as they are. Imported only with matplotlib.

A figure has colours of its own on white, whatever the style of the session, so that it can be read on a light page, a
dark one and in print. Names are data: a `$` in one is drawn, and never read as a formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from matplotlib import dates, font_manager, ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from compiler_nb.text import cut
from compiler_nb.toolbox.plot_data import Measured

COLORS: Final = (
    "#2f6fb3", "#d9772b", "#3a9157", "#c2454a", "#7d62b5", "#8a6a4d", "#c667a2", "#6b7684", "#a39a2a", "#2f9db0",
    "#1f3f66", "#e0a63b",
)  # fmt: skip
INK, FAINT, LINES, PAPER = "#24292f", "#57606a", "#d5dae0", "#ffffff"
SIZE: Final = (7.2, 4.2)
DPI: Final = 110
LINES_OF_BARS: Final = 60
"""Bars one below the other, and rows of a heat map, whose names can be read."""
NAMED: Final = 24
"""Names along an axis, half of that if they are long; of more every second, third, … is written."""
LONG: Final = 90
"""Characters that names along an axis may have together; more are turned."""
TITLE: Final = 90
_FONTS: Final = (
    "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei",
    "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Arial Unicode MS",
)  # fmt: skip
"""The fonts that are searched for letters, as far as they are installed."""


def new_axes() -> Axes:
    """Return the empty axes of a figure of its own."""
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=PAPER, edgecolor=PAPER, layout="constrained")
    axes = figure.add_subplot(facecolor=PAPER)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINES)
    axes.grid(visible=False)
    axes.set_axisbelow(True)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9, labelfontfamily=families())
    return axes


def finished(axes: Axes, title: str, notes: Sequence[str]) -> Figure:
    """Return the figure of drawn axes, with a title, names of what is drawn, and notes below."""
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101 - it has made them
    if title:
        axes.set_title(drawn(title), color=INK, fontsize=12, loc="left", pad=10)
    if len(axes.get_legend_handles_labels()[0]) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9, labelcolor=INK)
    if notes:
        figure.supxlabel(drawn("; ".join(notes), 2 * TITLE), x=0.01, ha="left", color=FAINT, fontsize=8)
    figure.draw_without_rendering()  # what cannot be drawn fails here, in the tool, and not where it is shown
    for text in figure.findobj(Text):
        text.set_usetex(False)
        text.set_fontfamily(families())
    return figure


# -------------------------------------------------------------------- text is data


def drawn(text: str, limit: int = TITLE) -> str:
    """Return a text that is drawn as it is: a `$` begins no formula, and what no font has is a box."""
    fonts = _fonts()
    shown = (char if char.isascii() or any(font.get_char_index(ord(char)) for font in fonts) else BOX
             for char in cut(text, limit))  # fmt: skip
    return "".join(shown).replace("$", r"\$")


BOX: Final = "\N{WHITE VERTICAL RECTANGLE}"


def families() -> list[str]:
    """Return the fonts of texts, in the order in which letters are looked for."""
    installed = set(font_manager.fontManager.get_font_names())
    return [name for name in _FONTS if name in installed]


def _fonts() -> list[Any]:
    return [font_manager.get_font(font_manager.findfont(name)) for name in families()]


# -------------------------------------------------------------------- axes


def along(axis: Any, x: Measured | None, values: Sequence[Any] = ()) -> None:
    """Label an axis with what x is: names, times or numbers."""
    if x is not None and x.kind == "text":
        named(axis, x.names)
    elif x is not None and x.kind == "time":
        place = dates.AutoDateLocator()  # type: ignore[no-untyped-call]  # matplotlib says nothing of its dates
        axis.set_major_locator(place)
        axis.set_major_formatter(dates.ConciseDateFormatter(place))  # type: ignore[no-untyped-call]  # as above
    else:
        counted(axis, values)


def counted(axis: Any, values: Sequence[Any]) -> None:
    """Have an axis write large numbers with commas."""
    known = [each[np.isfinite(each)] for each in values]
    if all(bool((each == np.floor(each)).all()) for each in known):
        axis.set_major_locator(ticker.MaxNLocator("auto", integer=True))
    low = min((each.min() for each in known if each.size), default=0.0)
    high = max((each.max() for each in known if each.size), default=0.0)
    if 10_000 <= max(abs(low), abs(high)) < 1e12 and high - low >= 10:  # noqa: PLR2004 - what is read with commas
        axis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def named(axis: Any, names: Sequence[str]) -> None:
    """Write names at the places 0, 1, 2, of many only at every second, third or so."""
    is_below = axis.axis_name == "x"
    step = -(-len(names) // NAMED) or 1
    if is_below and _room(names[::step]) > LONG:
        step = -(-len(names) // (NAMED // 2))
    shown = [drawn(name) for name in names[::step]]
    axis.set_major_locator(ticker.FixedLocator(list(range(0, len(names), step))))
    axis.set_major_formatter(ticker.FixedFormatter(shown))
    if is_below and _room(shown) > LONG:
        axis.set_tick_params(rotation=40)
        for text in axis.get_ticklabels():
            text.set_ha("right")
            text.set_rotation_mode("anchor")


def _room(names: Sequence[str]) -> int:
    """Return how many characters names take beside each other."""
    return sum(map(len, names)) + 2 * len(names)


def draw_grid(axes: Axes, axis: Literal["both", "x", "y"]) -> None:
    """Draw faint lines across the axes."""
    axes.grid(visible=True, axis=axis, color=LINES, linewidth=0.6)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write a name beside each row, the first on top, in a figure that is high enough for them."""
    axes.set_yticks(range(len(names)), [drawn(cut(name, 30)) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    if axes.figure is not None:
        axes.figure.set_figheight(max(SIZE[1], 0.9 + 0.2 * len(names)))  # type: ignore[union-attr]
