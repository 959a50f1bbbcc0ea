"""What a planner is told of a conversation is bounded, and holds no contents."""

from __future__ import annotations

import pytest

from compiler_nb.plan.plan import Plan
from compiler_nb.planner.follow_up import LISTED, describe_follow_up
from compiler_nb.settings.follow import FollowUp, Turn


def long_talk(count):
    """Return a conversation with so many results."""
    plan = Plan.parse("\n".join(f"t{n} = get({n})" for n in range(count)) + "\njoin()")
    outcomes = {task.id: {"secret": n} for n, task in enumerate(plan.tasks)}
    turn = Turn("What is\nit? " * 1000, plan.text, "an answer", answered=True)
    return FollowUp(turns=(turn,) * 5, tasks=plan.by_id, outcomes=outcomes, names={id_: id_ for id_ in outcomes})


@pytest.mark.slow
@pytest.mark.parametrize("wording", ["full", "small"])
def test_a_long_conversation_is_told_in_part(wording):
    """The newest results, and the ends of neither questions nor plans are endless."""
    text = describe_follow_up(long_talk(3_000), wording=wording)
    assert len(text) < 12_000
    assert "t2999: dict (secret: int)" in text
    assert text.count(": dict (secret: int)") == LISTED
    assert "t10: dict" not in text


def test_contents_are_told_only_under_preview():
    """As in a replan."""
    talk = long_talk(3)
    assert '{"secret": 2}' not in describe_follow_up(talk)
    assert 't2: dict (secret: int): {"secret": 2}' in describe_follow_up(talk, preview=True)


def test_what_is_not_there_says_why():
    """And is not among the results."""
    talk = long_talk(2)
    told = FollowUp(
        turns=talk.turns,
        tasks=talk.tasks,
        outcomes=talk.outcomes,
        names=talk.names,
        lost={"t1": "a model"},
        failures={"t9": "timed out"},
        effects={"@3": "send(1) was made"},
    )
    text = describe_follow_up(told)
    assert "t1: it was not stored (a model): compute it again if it is needed" in text
    assert "t1: dict" not in text
    assert "t9: timed out" in text
    assert "@3: send(1) was made" in text
