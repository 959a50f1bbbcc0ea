"""Why something is not in the cache, in words."""

from __future__ import annotations

import pytest

from compiler_nb.cache.cache import Stored
from compiler_nb.cache.why import Made, why_asked, why_called

PARTS = {"source =price": "1", "source RATE": "1", "source pandas": "1", "argument day": "1", "argument rows": "1"}
TEXTS = {"source pandas": "2.2", "argument day": "5", "argument rows": "[1]"}
OLD = Made(PARTS, TEXTS, "a")


def stored(made: Made, at: float = 0.0) -> Stored:
    """Return what is kept."""
    return Stored("k", "values of price", made.about(run="r"), at=at)


@pytest.mark.parametrize(("parts", "texts", "told"), [
    ({"source =price": "2"}, {}, "tool `price` changed"),
    ({"source =price": "2", "source RATE": "2"}, {}, "tool `price` changed"),
    ({"source RATE": "2"}, {}, "tool `price` changed: it reaches `RATE`"),
    ({"source pandas": "2"}, {"source pandas": "2.3"}, "tool `price` changed: it reaches `pandas` 2.2 → 2.3"),
    ({"argument day": "2"}, {"argument day": "6"}, "argument `day`: 5 → 6"),
    ({"argument rows": "2"}, {"argument rows": "[1]"}, "upstream `tickers` or input `df` changed"),
    ({"argument more": "2"}, {"argument more": "1"}, "argument `more` is new"),
    ({"class City": "2"}, {}, "class `City` changed"),
    ({"source RATE": "2", "argument day": "2"}, {"argument day": "6"},
     "tool `price` changed: it reaches `RATE`, argument `day`: 5 → 6"),
    ({}, {}, "what is kept of `price` cannot be read"),
])  # fmt: skip
def test_what_differs_is_named(parts, texts, told):
    """Of a call of the same task."""
    new = Made(PARTS | parts, TEXTS | texts, "a", {"rows": ["tickers", "@df"]})
    assert why_called("price", new, [stored(OLD)]) == told


def test_a_call_is_compared_with_that_of_its_task_that_differs_least():
    """Not with the newest, nor with one of another task."""
    new = Made(PARTS | {"argument day": "2"}, TEXTS | {"argument day": "6"}, "a")
    other = stored(Made(PARTS | {"argument day": "2"}, TEXTS, "b"), 9.0)
    far = stored(Made(PARTS | {"argument day": "3", "source =price": "3"}, TEXTS, "a"), 8.0)
    assert why_called("price", new, [other, far, stored(OLD)]) == "argument `day`: 5 → 6"
    assert why_called("price", new._replace(task="c"), [stored(OLD)]) == (
        "`price` was not called with these arguments: day=6, rows=[1]"
    )
    assert why_called("price", new, []) == "nothing is kept of `price` yet"


ASKED = Made(
    {"model": "1", "settings": "1", "prompt": "1", "question": "1", "dialect": "1", "tool search": "1", "request": "1",
     "input df": "1", "result a": "1"},
    {"model": "openai:a", "settings": "temperature=0, api='chat'", "question": "'What?'", "dialect": "python"},
)  # fmt: skip


@pytest.mark.parametrize(("parts", "texts", "told"), [
    ({"model": "2"}, {"model": "openai:b"}, "the model changed: openai:a → openai:b"),
    ({"settings": "2"}, {"settings": "temperature=1, api='chat'"},
     "the model's settings changed: temperature=0 → temperature=1"),
    ({"prompt": "2"}, {}, "prompt planner changed"),
    ({"question": "2"}, {"question": "'Why?'"}, "the question changed: 'What?' → 'Why?'"),
    ({"dialect": "2"}, {"dialect": "json"}, "the dialect changed: python → json"),
    ({"tool search": "2"}, {}, "tool `search` changed"),
    ({"tool price": "2"}, {}, "tool `price` was added"),
    ({"input df": "2"}, {}, "input `df` changed"),
    ({"result a": "2", "request": "2"}, {}, "result `a` changed"),
    ({"request": "2"}, {}, "the request changed"),
])  # fmt: skip
def test_what_differs_of_a_request_is_named(parts, texts, told):
    """The rest of a request only if nothing else does."""
    new = Made(ASKED.parts | parts, ASKED.texts | texts)
    assert why_asked("planner", new, [stored(ASKED)]) == told


def test_a_tool_that_is_not_offered_anymore_is_named():
    """And a first request."""
    new = Made({name: each for name, each in ASKED.parts.items() if name != "tool search"}, ASKED.texts)
    assert why_asked("planner", new, [stored(ASKED)]) == "tool `search` was removed"
    assert why_asked("planner", new, []) == "nothing is kept yet"
