"""How things end, in words and in numbers."""

from __future__ import annotations

from compiler_nb.outcome import ENDED, STATES, Cancelled, Failure, Skipped, Usage


def test_outcomes_say_what_happened():
    """A failure its message, a skipped task its cause, a cancelled one that the run was cancelled."""
    assert str(Failure("raised", "OSError: down")) == "OSError: down"
    assert str(Skipped("ny", "OSError: down")) == "skipped: ny failed, OSError: down"
    assert str(Cancelled()) == "the run was cancelled"


def test_there_are_seven_states_and_four_of_them_are_ends():
    """The same seven everywhere."""
    assert len(STATES) == len(set(STATES)) == 7
    assert set(STATES) - ENDED == {"waiting", "ready", "running"}


def test_usage_adds_up():
    """It counts as reported only if all of it is."""
    assert Usage(1, 10, 5, 2) + Usage(2, 1, 1) == Usage(3, 11, 6, 2)
    thought = Usage(1, 10, 5, reasoning_tokens=3, cache_write_tokens=2)
    assert thought + thought == Usage(2, 20, 10, reasoning_tokens=6, cache_write_tokens=4)
    assert (Usage(1, 10, 5) + Usage(1, 1, 1, reported=False)).reported is False
    assert Usage(1, 10, 5, 2).tokens == 15
