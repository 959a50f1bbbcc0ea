"""A log numbers, times and keeps events, and tells its listeners."""

from __future__ import annotations

from compiler_nb.events import Log, Paused, RoundStarted, Warned


def test_events_are_numbered_and_timed():
    """In order, with the run, the round, and the seconds since the run began."""
    now = [5.0]
    log = Log("r", lambda: now[0])
    log.emit(RoundStarted, "")
    now[0], log.round = 6.5, 1
    log.emit(Warned, "a", "slow")
    log.emit_at(0.25, Paused, (True,))
    assert [event[:4] for event in log.events] == [(0, "r", 0, 0.0), (1, "r", 1, 1.5), (2, "r", 1, 0.25)]
    assert (log.events[1].task, log.events[1].message) == ("a", "slow")


def test_listeners_are_told_and_a_broken_one_is_dropped():
    """Its error is kept, and the others go on."""
    heard, log = [], Log("r")

    def breaks(event):
        raise ValueError("no")

    log.listeners += [breaks, heard.append]
    log.emit(Warned, "a", "x")
    log.emit(Warned, "a", "y")
    assert [event.message for event in heard] == ["x", "y"]
    assert [str(error) for error in log.broken] == ["no"]


def test_a_closed_log_takes_nothing():
    """What cannot be stopped is not heard anymore."""
    log = Log("r")
    log.close()
    log.emit(Warned, "a", "x")
    assert log.events == []
