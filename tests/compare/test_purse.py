from __future__ import annotations

from dataclasses import asdict

from compiler_nb.compare.purse import Purse, is_metered
from compiler_nb.outcome import Usage
from compiler_nb.settings.budget import Budget
from compiler_nb.trace import Progress


def used(tokens):
    """Return a run that has used so many tokens."""
    progress = Progress()
    progress.usage = Usage(1, tokens, 0)
    return progress


def test_runs_use_up_one_budget_together():
    """Those that go on count, too; the first that is refused ends it for all."""
    purse = Purse(Budget(tokens=1_000))
    share = purse.shares(Budget(calls=5))
    one, other = used(400), used(500)
    assert share.exceeded(one, 0, 50) == ""
    assert share.exceeded(other, 0, 50) == ""
    assert share.exceeded(one, 1, 101) == (
        "the grid's budget of 1,000 tokens is used up (900; the next call sends about 101)"
    )
    assert "used up" in share.exceeded(other, 1, 1)
    assert (purse.ended(one), purse.ended(used(3))) == (True, False)


def test_a_runs_own_budget_still_holds():
    """It ends this run, and not the grid."""
    purse = Purse(Budget(tokens=1_000))
    assert "budget of 5 calls" in purse.shares(Budget(calls=5)).exceeded(used(0), 5)
    assert purse.spent == ""


def test_calls_are_counted_when_they_are_allowed():
    """So that runs side by side make no more."""
    share = Purse(Budget(calls=2)).shares(Budget())
    assert [share.exceeded(used(0), 0) for _ in range(3)] == [
        "", "", "the grid's budget of 2 calls of models is used up",
    ]  # fmt: skip


def test_a_share_is_stored_as_the_budget_that_it_is():
    """A history holds the run's own."""
    assert asdict(Purse(Budget(calls=2)).shares(Budget(tokens=3))) == asdict(Budget(tokens=3))
    assert (is_metered(Budget(seconds=3)), is_metered(Budget(usd=3))) == (False, True)
