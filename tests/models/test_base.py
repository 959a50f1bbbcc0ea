import pytest

from compiler_nb.models.base import Request, describe_sizes
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
