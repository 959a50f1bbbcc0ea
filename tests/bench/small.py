"""How well a small model plans: thirty fixed questions, with the prompts `small` and `full`; nothing is promised of it.

    python3 make.py bench --small                                # the built-in model
    python3 make.py bench --small local:/path/to/model.gguf      # any other

A plan is "sensible" if it calls the tool that the question is about with one of the question's own words at least;
"whole" if all of the words that matter are in the arguments.
"""

from __future__ import annotations

import asyncio
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from compiler_nb import Compiler, connect, tool
from compiler_nb.events import ModelChunk, ModelEnded, ModelStarted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compiler_nb import Model, Plan
    from compiler_nb.tool import Tool


@tool
def weather(city: str, days: int = 1) -> dict:
    """Weather forecast of a city."""


@tool
def population(place: str) -> int:
    """How many people live in a city or a country."""


@tool
def distance(start: str, end: str) -> float:
    """Distance between two cities in kilometers."""


@tool
def stock_price(symbol: str) -> float:
    """Last price of a stock."""


@tool
def company(name: str) -> dict:
    """Facts of a company: country, employees, founder."""


@tool
def convert(amount: float, unit: str, target: str) -> float:
    """Convert an amount of money to another currency."""


@tool
def search(query: str) -> str:
    """Search an encyclopedia."""


@tool
def translate(text: str, language: str) -> str:
    """Translate a text."""


@tool
def order(order_id: str) -> dict:
    """Fetch an order of the shop."""


TRAVEL, MONEY, DESK = [weather, population, distance], [stock_price, company, convert], [search, translate, order]


class Question(NamedTuple):
    """A question, the tools that are offered, the one that it is about, and the words of its arguments."""

    tools: Sequence[Tool]
    text: str
    about: Tool
    words: str


QUESTIONS = [
    Question(TRAVEL, "What will the weather be in Oslo?", weather, "Oslo"),
    Question(TRAVEL, "How many people live in Peru?", population, "Peru"),
    Question(TRAVEL, "How far is it from Rome to Milan?", distance, "Rome Milan"),
    Question(TRAVEL, "Will it rain in Lisbon in the next 3 days?", weather, "Lisbon"),
    Question(TRAVEL, "Which city has more people, Madrid or Vienna?", population, "Madrid Vienna"),
    Question(TRAVEL, "Is it warmer in Athens or in Cairo?", weather, "Athens Cairo"),
    Question(TRAVEL, "What is the population of Kenya?", population, "Kenya"),
    Question(TRAVEL, "How many kilometers are between Berlin and Prague?", distance, "Berlin Prague"),
    Question(TRAVEL, "Do I need an umbrella in Seattle today?", weather, "Seattle"),
    Question(TRAVEL, "Does Norway have more people than Finland?", population, "Norway Finland"),
    Question(MONEY, "What does a share of Apple with the symbol AAPL cost?", stock_price, "AAPL"),
    Question(MONEY, "Who founded Nokia?", company, "Nokia"),
    Question(MONEY, "How much are 50 dollars in euros?", convert, "50 dollars euros"),
    Question(MONEY, "Compare the prices of MSFT and IBM.", stock_price, "MSFT IBM"),
    Question(MONEY, "How many employees does Siemens have?", company, "Siemens"),
    Question(MONEY, "Convert 1200 yen to pounds.", convert, "1200 yen pounds"),
    Question(MONEY, "In which country is Samsung?", company, "Samsung"),
    Question(MONEY, "Is TSLA dearer than NVDA?", stock_price, "TSLA NVDA"),
    Question(MONEY, "What is the price of the stock AMZN?", stock_price, "AMZN"),
    Question(MONEY, "Which company is larger, Bosch or Philips?", company, "Bosch Philips"),
    Question(DESK, "Translate good morning to French.", translate, "good morning French"),
    Question(DESK, "Who painted the Mona Lisa?", search, "Mona Lisa"),
    Question(DESK, "What is in order A17?", order, "A17"),
    Question(DESK, "How do you say thank you in Japanese?", translate, "thank you Japanese"),
    Question(DESK, "When was the Eiffel Tower built?", search, "Eiffel Tower"),
    Question(DESK, "Has order B204 been shipped?", order, "B204"),
    Question(DESK, "What is the highest mountain of Africa?", search, "highest mountain Africa"),
    Question(DESK, "Say I am hungry in Spanish.", translate, "hungry Spanish"),
    Question(DESK, "Which of the orders C3 and C9 is older?", order, "C3 C9"),
    Question(DESK, "What is photosynthesis?", search, "photosynthesis"),
]
WAYS = [("small", "numbered"), ("small", "python"), ("small", "json"), ("full", "numbered"), ("full", "python")]
"""The prompts and dialects that are compared; the first is what the built-in model gets by itself."""


class Asked(NamedTuple):
    """What came of a question: tokens of the prompt, seconds to the first and to the last token, share of the words."""

    tokens: int
    first: float
    seconds: float
    valid: bool
    words: float


def words_found(plan: Plan | None, question: Question) -> float:
    """Return which share of the words that matter are arguments of the tool that the question is about."""
    calls = [task for task in (plan.tasks if plan is not None else ()) if task.tool == question.about.name]
    said = " ".join(text for call in calls for text in _texts([*call.args, *call.kwargs.values()])).lower()
    wanted = question.words.lower().split()
    return sum(word in said for word in wanted) / len(wanted)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str | int | float):
        yield str(value)


def ask(model: Model, question: Question, prompts: str, dialect: str) -> Asked:
    """Ask for a plan once, without repairs, and return what came of it."""
    compiler = Compiler(model, question.tools, prompts=prompts, dialect=dialect, max_repairs=0)
    run, work = compiler.begin(compiler.order_planned(question.text))
    asyncio.run(work)
    [begun, ended] = [next(e for e in run.events if isinstance(e, kind)) for kind in (ModelStarted, ModelEnded)]
    first = next((each.at for each in run.events if isinstance(each, ModelChunk)), ended.at)
    found = words_found(run.plan, question)
    return Asked(ended.usage.input_tokens, first - begun.at, ended.at - begun.at, run.plan is not None, found)


def row(prompts: str, dialect: str, asked: Sequence[Asked]) -> str:
    """Return the line of the table for one way to ask."""
    middle = [median(each[at] for each in asked) for at in range(3)]
    counts = [sum(each.valid for each in asked), sum(each.words > 0 for each in asked)]
    counts.append(sum(each.words == 1 for each in asked))
    return f"{prompts:<8} {dialect:<9} {middle[0]:>7.0f} {middle[1]:>8.2f} s {middle[2]:>6.1f} s" + "".join(
        f"{count:>6} of {len(asked)}" for count in counts
    )


def main(name: str = "local") -> None:
    """Ask a model all questions in each of the ways, and print the table."""
    model = connect(name, temperature=0, seed=1)
    ask(model, QUESTIONS[0], "small", "numbered")  # its start is no part of the times
    print(f"{'prompts':<8} {'dialect':<9} {'tokens':>7} {'first':>10} {'whole':>8}  valid plan   sensible  all words")
    for prompts, dialect in WAYS:
        print(row(prompts, dialect, [ask(model, each, prompts, dialect) for each in QUESTIONS]), flush=True)
