"""A failed call is tried again if that may help, at growing intervals, and not for ever."""

from __future__ import annotations

import pytest

from compiler_nb.errors import AuthenticationFailed, ProviderUnavailable, RateLimited
from compiler_nb.models.retries import LONGEST_DELAY, SILENT_TRIES, Retries


def delays(fault, **settings):
    """Return the delays after each try, until there is no other."""
    retries, found = Retries(**settings), []
    while (delay := retries.delay(fault, len(found) + 1)) is not None:
        found.append(delay)
    return found


def test_the_back_off_doubles_up_to_a_longest():
    """Each delay is drawn from the upper half of its interval, so that many calls do not come back together."""
    found = delays(ProviderUnavailable("busy", status=503), most=9)
    intervals = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_DELAY, LONGEST_DELAY]
    assert len(found) == len(intervals)
    assert all(interval / 2 <= delay <= interval for delay, interval in zip(found, intervals, strict=True))


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (ProviderUnavailable("busy", status=503), 4),
        (ProviderUnavailable("nobody there"), SILENT_TRIES),
        (AuthenticationFailed("no"), 1),
    ],
)
def test_there_are_fewer_tries_the_less_they_help(fault, tries):
    """None for what is final, and few if nobody even answered."""
    assert len(delays(fault)) == tries - 1


def test_a_provider_that_counts_is_waited_for_as_long_as_it_asks():
    """Such tries do not count; the seconds do."""
    found = delays(RateLimited("slow", retry_after=30.0), longest_wait=100.0)
    assert len(found) == 3
    assert all(delay > 30 for delay in found)
    assert delays(RateLimited("slow", retry_after=500.0)) == []


def test_what_any_provider_asks_for_is_waited_for():
    """Also if it fails with another status than 429; its tries count, and the seconds are bounded."""
    found = delays(ProviderUnavailable("busy", status=503, retry_after=30.0), longest_wait=100.0)
    assert len(found) == 3
    assert all(delay > 30 for delay in found)
    assert delays(ProviderUnavailable("busy", status=503, retry_after=500.0)) == []


def test_a_model_that_is_being_loaded_is_waited_for_longer():
    """Two minutes, not the three seconds of four tries."""
    fault = ProviderUnavailable("loading", status=503)
    fault.patient = True
    assert 90 < sum(delays(fault)) <= 120
