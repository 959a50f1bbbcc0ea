"""A chart as a tool: `plot(rows, "day", "price", kind="line")` gives a figure, with which a plan can end.

The figure is made by matplotlib's `Figure` itself, never by pyplot, whose state all threads share. What is drawn is
chosen here, and drawn in `plot_chart.py`. Nothing is left out in silence: the figure says below the chart which points
stand for many, and what is missing; the same words are its label, which pages use as the picture's description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from compiler_nb.errors import CompilerError, ToolError, ToolUnavailable
from compiler_nb.text import count_of, describe_error, suggest, type_name
from compiler_nb.tool import tool
from compiler_nb.toolbox.plot_data import PAIR, Measured, Sheet, label, measured, numbers_of, present, sheet_of, what_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = Any  # which is not imported to read the signature

ChartKind = Literal["line", "bar", "barh", "scatter", "hist", "box", "area", "heat"]
KINDS: Final = get_args(ChartKind)
_WORDS: Final = {
    "barh": "bar chart", "scatter": "scatter plot", "hist": "histogram", "box": "box plot", "heat": "heat map",
}  # fmt: skip
INSTALL: Final = 'pip install "compiler_nb[plot]"'
MOST: Final = 12
"""Columns or groups in one chart."""
CELLS: Final = 500
"""Columns of a heat map."""


@tool(pure=True)
def plot(
    data: Any,
    x: Any = None,
    y: Any = None,
    kind: ChartKind = "line",
    *,
    by: Any = None,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draw a table, a Series, a dict or a list as a chart; x and by name a column, y names one or a list of them.

    x defaults to what names the rows, y to all columns of numbers; by draws each of its values apart.
    Raises ToolError if there is no such column or nothing to draw, ToolUnavailable without matplotlib.
    """
    if kind not in KINDS:
        near, kinds = suggest(str(kind), KINDS), ", ".join(KINDS)
        raise ToolError(f"plot: there is no kind {kind!r}.{near} The kinds are: {kinds}")
    try:
        import matplotlib.figure  # noqa: F401, PLC0415 - an extra, imported at first use
    except ImportError:
        raise ToolUnavailable(f"plot needs matplotlib: {INSTALL}") from None
    from compiler_nb.toolbox.plot_chart import PlotRows  # noqa: PLC0415 - as above
    from compiler_nb.toolbox.plot_kinds import draw  # noqa: PLC0415 - as above

    chosen = _Choice(sheet_of(data), kind, x, y, by)
    chart = PlotRows(kind, chosen.x, tuple(chosen.ys.items()), chosen.by, chosen.notes)
    names = (title, xlabel or chosen.xlabel, ylabel or chosen.ylabel)
    try:
        figure = draw(chart, *map(_text, names))
    except CompilerError:
        raise
    except Exception as error:
        raise ToolError(f"plot: matplotlib cannot draw this {kind}: {describe_error(error)}") from error
    figure.set_label("; ".join([*filter(None, [_text(title)]), chosen.words, *chart.notes]))
    return figure


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise ToolError(f"plot: title, xlabel and ylabel must be text, not a {type_name(given)}")
    return given


class _Choice:
    """What of a sheet is drawn: x, the columns of y by their names, and what tells them apart."""

    def __init__(self, sheet: Sheet, kind: str, x: Any, y: Any, by: Any) -> None:
        self.sheet, self.notes = sheet, list[str]()
        flat = kind in ("hist", "box")
        if x is None and y is None and not sheet.levels and tuple(sheet.columns) == PAIR:
            x = PAIR[0]
        if y is None and x is not None and flat and not (kind == "box" and self._tells_apart(x)):
            x, y = (None, x) if by is None else (by, x)
            by = None
        if flat and x is None:  # plot(rows, "price", kind="hist", by="city")
            x, by = by, None
        if flat and x is not None and x == y:
            x = None
        self.by = None if by is None else measured(sheet.column(by, "by"))
        self.x = self._x(x, by, needed=not flat)
        self.ys = self._ys(y, [each for each in (x, by) if each is not None], kind)
        self._bound(CELLS if kind == "heat" else MOST)
        self.xlabel = "" if x is None and "" in sheet.levels else label(x) if x is not None else self._index_name()
        self.ylabel = next(iter(self.ys)) if len(self.ys) == 1 else ""
        along = f" by {self.xlabel}" if self.xlabel else ""
        apart = f", apart by {label(by)}" if by is not None else ""
        what = _WORDS.get(kind, f"{kind} chart")
        self.words = f"{what} of {', '.join(self.ys)}{along}{apart}, {count_of(sheet.rows, 'row')}"
        if kind == "hist":
            self.xlabel, self.ylabel = self.ylabel, "rows"
        elif kind == "heat":
            self.xlabel, self.ylabel = "" if by is None else label(by), self.xlabel

    def _tells_apart(self, x: Any) -> bool:
        """Whether x names a column that tells rows apart, so that there is a box for each of its values."""
        return measured(self.sheet.column(x, "x")).kind == "text" and bool(numbers_of(self.sheet, [x]))

    def _x(self, x: Any, by: Any, *, needed: bool) -> Measured | None:
        """Return the values of x: a column, or what names the rows."""
        index = {name: values for name, values in self.sheet.levels.items() if name != by}
        if x is not None:
            return measured(self.sheet.column(x, "x"))
        if not needed or not index:
            return None
        if len(index) > 1:
            names = ", ".join(map(label, index))
            raise ToolError(
                f"plot: the rows are named by several levels ({names}): name one as x and another as by, as in "
                f"plot(data, x={label(list(index)[-1])!r}, by={label(next(iter(index)))!r})"
            )
        return measured(next(iter(index.values())))

    def _index_name(self) -> str:
        return label(next(iter(self.sheet.levels))) if len(self.sheet.levels) == 1 and self.x is not None else ""

    def _ys(self, y: Any, used: list[Any], kind: str) -> dict[str, Measured]:
        if y is None:
            found = numbers_of(self.sheet, used) or numbers_of(self.sheet, [])
            if not found and kind == "hist":
                found = {name: measured(values) for name, values in self.sheet.columns.items()}
            if not found:
                listed = ", ".join(map(label, self.sheet.columns))
                raise ToolError(f"plot: no column holds numbers: name y; the columns are {listed}")
            held = {label(name): values for name, values in found.items() if len(present(values.values))}
            return held or {label(name): values for name, values in found.items()}
        if type(y) is tuple and label(y) in self.sheet.columns:  # a column of several levels
            y = label(y)
        names = list(y) if isinstance(y, list | tuple) else [y]
        if not names:
            raise ToolError("plot: y is an empty list: name a column, or leave y out")
        found = {name: measured(self.sheet.column(name, "y")) for name in names}
        for name, values in found.items():
            if values.kind != "number" and not (kind == "hist" and (values.kind == "text" or len(found) == 1)):
                what = "times" if values.kind == "time" else what_of(self.sheet.column(name, "y"))
                raise ToolError(
                    f"plot: y {label(name)!r} holds {what}, not numbers: name another column, or convert it"
                )
        return {label(name): values for name, values in found.items()}

    def _bound(self, most: int) -> None:
        """Keep the first columns if there are too many, and note what is missing in those."""
        if len(self.ys) > most:
            self.notes.append(f"the first {most} of {len(self.ys):,} columns")
            self.ys = dict(list(self.ys.items())[:most])
        for name, values in list(self.ys.items())[:MOST]:
            missing = self.sheet.rows - len(present(values.values))
            if missing == self.sheet.rows:
                raise ToolError(f"plot: {name!r} holds no numbers: all {count_of(missing, 'value')} are missing")
            if missing:
                self.notes.append(f"{name}: {missing:,} of {count_of(self.sheet.rows, 'value')} missing")
