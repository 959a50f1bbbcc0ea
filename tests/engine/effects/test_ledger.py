"""The ledger of side effects: which call is which, and what it takes of those before it."""

from __future__ import annotations

import pytest

from compiler_nb import tool
from compiler_nb.engine.effects.ledger import NOWHERE, Entry, Ledger, Place, digest_of, not_repeated
from compiler_nb.errors import RunClaimed
from compiler_nb.outcome import Cancelled, Failure


@tool(side_effects=True)
def pay(amount: float, currency: str = "EUR", *notes: str, **more: object) -> str:
    """Pay."""
    return f"{amount} {currency} {notes} {more}"


def mark(*args, **kwargs):
    """Return the digest of a call of `pay`."""
    return digest_of(pay, *pay.bind(args, kwargs))


def made(ledger, id_, digest="d", outcome="done"):
    """Make a call, and end it."""
    known = ledger.find(id_, digest)
    ledger.begin(id_, 0)
    ledger.end(id_, outcome)
    return known


def test_a_call_is_known_by_its_tool_and_what_that_gets():
    """However the arguments are given: in their places or by name, as 2 or 2.0 where the tool takes a number."""
    assert mark(2) == mark(amount=2) == mark(2.0, "EUR") == mark(currency="EUR", amount=2)
    others = [mark(2), mark(3), mark(2, "USD"), mark(2, "EUR", "a"), mark(2, "EUR", "a", "b"), mark(2, other="a")]
    other_tool = tool(side_effects=True, name="pay_2")(pay.function)
    assert len({*others, digest_of(other_tool, *other_tool.bind((2,), {}))}) == 7


def test_within_one_plan_each_call_is_new_and_the_next_plan_takes_one_after_the_other():
    """The k-th of equal calls takes the k-th; a call more than there were is new."""
    ledger = Ledger("run", [])
    assert [made(ledger, id_, outcome=id_) for id_ in "ab"] == [None, None]
    ledger.open()
    assert [ledger.find(id_, "d").value for id_ in "cd"] == ["a", "b"]
    assert ledger.find("c", "d").value == "a"  # asked again it takes no other
    assert ledger.find("e", "d") is None
    assert ledger.find("f", "other") is None
    ledger.open()
    assert ledger.find("g", "d").value == "a"


def test_a_call_whose_arguments_change_gives_back_what_it_took():
    """So that another may take it."""
    ledger = Ledger("run", [Entry("d", Place("old", 0, "a"), "done", 1)])
    assert ledger.find("x", "d").value == 1
    assert ledger.find("x", "other") is None
    assert ledger.find("y", "d").value == 1


def test_what_is_made_again_is_another_call_and_what_was_in_doubt_is_the_same_one():
    """A done one stands beside its repetition; a call in doubt becomes what its repetition is."""
    entries = [Entry("d", Place("old", 0, "a"), "done", 1), Entry("e", Place("old", 1, "b"), "doubt")]
    ledger = Ledger("run", entries)
    assert ledger.find("x", "d").value == 1
    ledger.again("x")
    assert ledger.find("x", "d") is None
    for id_ in "xy":
        made(ledger, id_, "d" if id_ == "x" else "e", outcome=2)
    assert [(each.digest, each.place.task, each.standing, each.value) for each in entries] == [
        ("d", "a", "done", 1), ("e", "y", "done", 2), ("d", "x", "done", 2),
    ]  # fmt: skip


def test_what_is_known_of_a_call_is_how_it_ended():
    """A timeout and a stop leave it in doubt; a failed one may be made again, but not by a resume unasked."""
    entries: list[Entry] = []
    ledger = Ledger("run", entries)
    outcomes = [1, Failure("timeout", ""), Failure("abandoned", ""), Failure("raised", ""), Cancelled()]
    for number, outcome in enumerate(outcomes):
        made(ledger, str(number), outcome=outcome)
    assert [each.standing for each in entries] == ["done", "doubt", "doubt", "failed", "doubt"]
    ledger.open()
    assert [ledger.find(id_, "d").standing for id_ in "abcd"] == ["done", "doubt", "doubt", "doubt"]
    later = Ledger("later", entries, wary=True)
    assert [later.find(id_, "d").standing for id_ in "abcde"] == [each.standing for each in entries]
    ledger.end("nobody", 1)


def test_what_tasks_have_adopted_is_taken():
    """Another equal call takes the next one."""
    places = [Place("old", 0, "a"), Place("old", 1, "b")]
    ledger = Ledger("run", [Entry("d", place, "done", place.task) for place in places])
    assert [entry.value for entry in ledger.take("w", places[:1])] == ["a"]
    assert ledger.find("x", "d").value == "b"
    made(ledger, "y", "e")
    ledger.find("z", "new")
    assert ledger.told() == {
        "w": "done in round 1 of the run old", "x": "done in round 2 of the run old", "y": "done in round 1",
    }  # fmt: skip


def test_a_call_is_described_from_where_one_stands():
    """In the same run by its round, in another also by its run."""
    entry = Entry("d", Place("old", 1, "a"), "doubt")
    assert entry.describe("old") == "cut off in round 2, and it may have had its effect"
    assert entry.describe("run") == "cut off in round 2 of the run old, and it may have had its effect"
    assert not_repeated(entry.place, "old") == "not repeated: done in round 2"
    assert Entry("d", NOWHERE, "lost").describe("x") == "done in an earlier run, but its value was not stored"


def test_of_runs_that_share_their_entries_one_at_a_time_makes_side_effects():
    """From its first until its end; one that had begun before is behind then, and one that begins later is not."""
    entries: list[Entry] = []
    first, second, third = (Ledger(each, entries) for each in ("first", "second", "third"))
    first.claim()
    with pytest.raises(RunClaimed, match="first makes the side effects of the same run: wait for its end"):
        second.claim()
    made(first, "a")
    first.claim()
    second.close()  # which holds nothing
    first.close()
    for _ in range(2):
        with pytest.raises(RunClaimed, match="first has made side effects of the same run since this one began"):
            third.claim()
    third.open()
    third.claim()
    Ledger("alone", []).claim()
