"""What a model was asked and what it replied, for a page and for a terminal."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, ScriptedModel
from compiler_nb.notebook.output.exchanges import LONGEST, exchange_html, exchange_text
from compiler_nb.trace import exchange


def found(reply, question="Why?"):
    """Return the planner's call of a run."""
    return exchange(Compiler(ScriptedModel({"planner": reply})).run_sync(question).progress, "planner")


def test_both_texts_are_shown_and_changes_are_marked():
    """Without another call there is nothing to mark, and an equal one is said to be equal."""
    new, old = found("answer(1)\n"), found("answer(2)\n")
    assert "<ins>" not in exchange_html(new, None)
    assert exchange_html(new, new).count("(the same as in the run before)") == 2
    page = exchange_html(new, old, "first")
    assert "<h5>sent (the same as in first)</h5>" in page
    assert page.endswith("<pre>answer(<del>2</del><ins>1</ins>)<br></pre>")
    assert exchange_text(new, old, "first").endswith(
        "---- came back (changes since first are marked)\n- answer(2)\n+ answer(1)"
    )


@pytest.mark.slow
def test_nothing_of_a_text_acts_in_a_page():
    """Tags, formulas and control characters are shown as what they are; what is too long is counted."""
    page = exchange_html(found("answer('<img onerror=x> $a$ \x07')\n"), None)
    assert "<img" not in page
    assert "&lt;img onerror=x&gt; <span>$</span>a<span>$</span>" in page
    assert "\x07" not in page
    whole = exchange_html(found(f"answer('{'x' * LONGEST}')\n"), None)
    assert "… 11 more characters" in whole
