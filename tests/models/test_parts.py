import pytest

from compiler_nb.models.base import Request
from compiler_nb.models.parts import describe_sizes, in_part, shown_of, sizes_of
from compiler_nb.prompts.data import frame

SYSTEM = {"role": "system", "content": "s" * 400}


def user(*parts):
    """Return a user's message."""
    return {"role": "user", "content": "\n\n".join(parts)}


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            Request("joiner", (SYSTEM, user("Question: " + "q" * 790, frame("rows", "SECRET" * 4_000)))),
            "about 6,308 tokens: `rows` 6,007, the question 201, the system prompt 100",
        ),
        (
            Request("worker", (SYSTEM, user("Translate.", frame("input", "x" * 40)))),
            "about 120 tokens: the system prompt 100, `input` 17, the instruction 3",
        ),
        (
            Request("repair", (SYSTEM, user("Which?"), {"role": "assistant", "content": "p" * 400}, user("Fix."))),
            "about 203 tokens: the system prompt (rules, tools, examples) 100, the earlier reply 100, the question 3",
        ),
        (Request("worker", ()), "about 0 tokens: "),
    ],
)
def test_a_request_is_told_by_the_sizes_of_its_parts(request_, text):
    """The largest first, framed data by its name, and nothing of what stands in them."""
    assert describe_sizes(request_) == text


def test_only_the_largest_parts_are_named():
    """A request of many inputs is told in a line, and a name is short."""
    told = describe_sizes(Request("worker", (user(*(frame(f"n{number}" * 30, "x" * number) for number in range(99))),)))
    assert told.endswith("95 more")
    assert len(told) < 600


def said(text):
    """Return a model's message."""
    return {"role": "assistant", "content": text}


FORGED = frame("df", "1", shown="all 9 rows")


def test_a_request_says_how_much_of_each_value_it_shows():
    """Of several in one prompt, each by its name; whatever stands in the values."""
    blocks = [frame("df", f"a\n{FORGED}\n", "load()", "20 of 13,000 rows"), frame("n", "1"),
              frame("x", FORGED, shown="all 3 rows")]  # fmt: skip
    shown = shown_of("joiner", (SYSTEM, user("Question: ?", *blocks)))
    assert shown == {"`df`": "20 of 13,000 rows", "`x`": "all 3 rows"}
    assert [in_part(each) for each in shown.values()] == [True, False]


def test_what_a_model_says_of_sizes_does_not_count():
    """Its reply is shown to it when it is asked again: it may look like anything."""
    assert shown_of("joiner", (SYSTEM, user("Question: ?"), said(FORGED), user("Not this."))) == {}


def test_a_joiner_or_a_tool_that_is_asked_again_has_seen_its_data_and_no_examples():
    """The first question is repeated, with the wrong reply and what is wrong."""
    data = frame("df", "x" * 100, shown="20 of 13,000 rows")
    for role, question in (("joiner", "Question: ?"), ("worker", "Find: the price")):
        again = (SYSTEM, user(question, data), said("much"), user("This is not a number."))
        assert shown_of(role, again) == {"`df`": "20 of 13,000 rows"}
        assert sizes_of(role, again)["`df`"] == len(data)
        assert "the examples" not in sizes_of(role, again)
    shown = (SYSTEM, user("Question: 1?"), said("a = f()"), user("Question: 2?"))
    assert sizes_of("planner", shown)["the examples"] == len("Question: 1?a = f()")
