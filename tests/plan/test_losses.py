"""Failures that are alike are told once."""

from __future__ import annotations

from compiler_nb.outcome import Cancelled, Failure, Skipped
from compiler_nb.plan.losses import Failures, alike, tell


def failed(message):
    """Return a failure of a tool."""
    return Failure("raised", message)


def test_five_hundred_failed_items_are_told_by_their_reasons():
    """The most frequent first, with a few names; keys, long numbers and times differ, a status does not."""
    lost = {}
    for number in range(0, 1_000, 2):
        status = 503 if number % 3 else 404
        message = (
            f"HTTPError: no price for {number}: HTTP {status} (request {number * 7919 + 10_000}, {number / 7:.3f} s)"
        )
        lost[f"rows[{number}]"] = failed(message)
    lost["rows[x]"] = failed("KeyError: 'x'")
    groups = alike(lost)
    assert [len(each.ids) for each in groups] == [333, 167, 1]
    assert str(groups[0]).endswith("s) (rows[2], rows[4], rows[8], … 330 more)")
    assert "HTTP 404" in tell(lost)
    assert tell(lost).endswith("KeyError: 'x' (rows[x])")
    assert len(tell(lost)) < 400


def test_a_name_is_no_difference_and_a_broken_chain_says_why():
    """Of an item whose own chain broke the reason is told, of others that they were skipped or cancelled."""
    assert len(alike({"p[New York]": failed("no New York"), "p[Rome]": failed("no Rome")})) == 1
    assert len(alike({"p[5]": failed("status 503"), "p[0]": failed("status 404")})) == 2
    assert tell({"p[A]": Skipped("p[A].1", "ValueError: x")}) == "ValueError: x (p[A])"
    assert tell({"p[A]": Skipped("q", "ValueError: x")}) == "skipped: q failed, ValueError: x (p[A])"
    assert tell({"p[A]": Cancelled(), "p[B]": Cancelled()}) == "the run was cancelled (p[A], p[B])"
    assert tell({f"p[{n}]": failed("x" * n) for n in range(1, 9)}).endswith("; 5 other reasons")


def test_failures_are_read_as_lines():
    """A line for each task; items stand in that of their fan-out, or in one of their own if it went without them."""
    items = {
        "rows[1]": failed("ValueError: a"),
        "rows[2].1": failed("ValueError: b"),
        "rows[2]": Skipped("rows[2].1", "b"),
    }
    whole = Failures({"rows": Failure("items", "2 of 3 items failed: …"), **items, "best": Skipped("rows", "2 of 3")})
    assert repr(whole) == "rows: 2 of 3 items failed: …\nbest: skipped: rows failed, 2 of 3"
    assert str(Failures(items)) == "rows: without 2 items: ValueError: a (rows[1]); b (rows[2])"
    assert (repr(Failures()), Failures(), dict(whole) == whole) == ("no failures", {}, True)
