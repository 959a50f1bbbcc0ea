"""What the planner and the joiner were asked and replied, as the details of the live view show it."""

from __future__ import annotations

import pytest

from compiler_nb import ScriptedModel
from compiler_nb.notebook.live.details import details, role_details
from compiler_nb.notebook.live.view import View
from tests.support.shell import open_shell

PLANS = ["a = nope(1)\n", "a = double(2)\nnote = llm('Say <b>', a)\njoin(a)\n"]


@pytest.fixture(scope="module")
def shell():
    """Give a shell with two runs: `one`, whose plan was repaired, and `two`."""
    with open_shell() as opened:
        opened.ns["m"] = ScriptedModel({"planner": PLANS, "repair": "a = double(1)\nnote = llm('Say', a)\njoin(a)\n",
                                        "worker": "hey", "joiner": ["Two.", "Four."]})  # fmt: skip
        opened.ok("%%compile -m m -o one\nWhat is two?")
        opened.ok("%%compile -m m -o two\nWhat is four?")
        yield opened


class Widget:
    """A link to a page that keeps what is sent."""

    model_id = "1"

    def __init__(self, _):
        self.sent = []

    def on_msg(self, hear):
        """Take what hears the page."""
        self.hear = hear

    def send(self, content):
        """Keep what is sent."""
        self.sent.append(content)

    def close(self):
        """Do nothing."""


def test_a_user_sees_all_that_a_role_was_asked_in_a_round(shell):
    """Repairs are the planner's; what changed since the run before is marked, also of a task's own calls."""
    one, two = shell.ns["one"], shell.ns["two"]
    assert role_details(one, "planner", 0).count("<details open>") == 2
    assert "repair: prompt to scripted:scripted" in role_details(one, "planner", 0)
    assert "are marked" not in role_details(one, "planner", 0)
    page = role_details(two, "planner", 0)
    assert "What is <del>two</del><ins>four</ins>?" in page
    assert "note = llm(&#x27;Say &lt;b&gt;&#x27;, a)" in page
    assert "<del>Two</del><ins>Four</ins>." in role_details(two, "joiner", 0)
    assert role_details(two, "joiner", 7) == "<p>the joiner was not asked</p>"
    assert "Say<ins> &lt;b&gt;</ins>" in details(two, "note")
    assert "<h5>came back (the same as in the run before)</h5><pre>hey</pre>" in details(two, "note")


def test_a_page_asks_for_a_role_and_is_answered(shell):
    """Anything else that it may say is left unanswered."""
    view = View(shell.ns["two"], widget=Widget)
    view.widget.sent.clear()
    for role, number in (("planner", "0"), ("nobody", 0), (None, None), (["planner"], 0)):
        view.widget.hear(None, {"say": "role", "role": role, "round": number})
    assert view.widget.sent == []
    view.widget.hear(None, {"say": "role", "role": "joiner", "round": 0})
    (told,) = view.widget.sent
    assert told["task"] == "joiner 0"
    assert "Four" in told["html"]
