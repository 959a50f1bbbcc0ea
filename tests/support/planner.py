# ruff: noqa: D103 - tools that are never called need no words
"""What planners replied to real questions, with the tools that they were offered, and what these give."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from compiler_nb.tool import Toolbox, tool


@tool
def search(query: str) -> str: ...
@tool
def calculate(expression: str) -> float: ...
@tool
def llm(instruction: str, *inputs: object) -> str: ...
@tool
def describe(df: object) -> dict: ...
@tool
def clean(df: object) -> object: ...
@tool
def filter_rows(df: object, where: str) -> object: ...
@tool
def group_by(df: object, by: str, value: str, how: str = "sum") -> object: ...
@tool
def resample(df: object, every: str, value: str, how: str = "mean") -> object: ...
@tool
def join_tables(left: object, right: object, on: str) -> object: ...
@tool
def fit_trend(df: object, value: str) -> dict: ...
@tool
def forecast(df: object, value: str, months: int, method: str) -> object: ...
@tool
def backtest(df: object, value: str, method: str) -> float: ...
@tool
def train(df: object, target: str) -> dict: ...
@tool
def prices(ticker: str, period: str = "1y") -> object: ...
@tool
def volatility(df: object) -> float: ...
@tool
def topics(texts: list, n: int) -> list: ...
@tool
def read_pdf(path: str) -> str: ...
@tool
def exchange_rate(source: str, target: str) -> float: ...
@tool
def weather(city: str, days: int) -> list: ...
@tool
def plot(df: object, x: str, y: str, title: str = "") -> object: ...
@tool(side_effects=True)
def send_email(to: str, subject: str, body: str) -> None: ...


TOOLS = Toolbox(
    [
        search, calculate, llm, describe, clean, filter_rows, group_by, resample, join_tables, fit_trend, forecast,
        backtest, train, prices, volatility, topics, read_pdf, exchange_rate, weather, plot, send_email,
    ]
)  # fmt: skip
INPUTS = ("sales", "regions", "weather", "weather_df", "tickers", "reviews", "paths", "df", "orders")
"""The table of the weather was offered under its tool's name; `free` calls it by its own."""
NUMBERS = ("calculate", "exchange_rate", "backtest", "volatility")


def replies(dialect: str) -> dict[str, str]:
    """Return the replies in a dialect, by the question's id."""
    path = Path(__file__).parent / "replies" / f"{dialect}.json"
    found: dict[str, str] = json.loads(path.read_text("utf-8"))
    return found


def give(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return what a call gives: another value for other arguments, of the kind that the tool gives."""
    print_ = zlib.crc32(repr((name, args, sorted(kwargs.items()))).encode())
    if name in NUMBERS:
        return print_ / 1_000
    if name == "topics":
        return [{"topic": f"topic {print_ + n}", "examples": [f"{print_ + n}.{k}" for k in range(3)]} for n in range(3)]
    return f"{name} {print_}"
