# ruff: noqa: D103 - tools and helpers of a test are read where they stand
from __future__ import annotations

from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from compiler_nb.engine.schedule import TRANSITIONS, Schedule
from compiler_nb.outcome import ENDED, STATES, Cancelled, Failure, Skipped
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref
from tests.support.scale import times

BAD = Failure("raised", "ValueError: x")


def call(id_: str, *needs: str, tool: str = "t", kind: str = "call") -> Task:
    return Task(id_, kind, tool if kind == "call" else "", tuple(Ref(need) for need in needs))


def names(nodes) -> list[str]:
    return [node.task.id for node in nodes]


def ended(schedule: Schedule) -> dict[str, object]:
    """Take what ended without being started."""
    found, schedule.ended = schedule.ended, []
    return {node.task.id: outcome for node, outcome in found}


def states(schedule: Schedule) -> str:
    return " ".join(f"{id_}:{node.state}" for id_, node in schedule.nodes.items())


# ------------------------------------------------------------------- events in, starts out

DIAMOND = ["a", "b a", "c a", "d b c"]


@pytest.mark.parametrize(
    ("plan", "capacity", "events", "starts"),
    [
        (["a", "b"], 8, [], "a b"),
        (["a", "b"], 1, ["a"], "a | b"),
        (DIAMOND, 8, ["a", "c", "b", "d"], "a | b c | | d |"),
        (DIAMOND, 1, ["a", "b", "c", "d"], "a | b | c | d |"),
        (DIAMOND, 8, ["a!"], "a |"),
        (DIAMOND, 8, ["a", "b!", "c"], "a | b c | |"),
        (["a", "b", "c a b"], 8, ["b", "a"], "a b | | c"),
        (["a", "b a a"], 8, ["a"], "a | b"),
        (["x", "a", "b a", "c b"], 1, ["x", "a", "b"], "x | a | b | c"),
    ],
)
def test_events_start_tasks(plan, capacity, events, starts):
    """A task starts when all that it refers to is done and a slot is free; a failure (!) starts none of its own."""
    schedule = Schedule(capacity)
    told = [[]]
    for text in plan:
        id_, *needs = text.split()
        told[0] += names(schedule.add(call(id_, *needs), 0.0))
    told += [names(schedule.finish(event.rstrip("!"), BAD if event.endswith("!") else 1, 0.0)) for event in events]
    assert [" ".join(group) for group in told] == [group.strip() for group in starts.split("|")]


def test_descendants_of_a_failure_are_skipped_and_name_it():
    """All of them, at any distance, with the cause's own message; what comes later, too."""
    schedule = Schedule()
    for text in [*DIAMOND, "e"]:
        schedule.add(call(*text.split()), 0.0)
    schedule.finish("a", 1, 0.0)
    schedule.finish("b", BAD, 0.0)
    assert ended(schedule) == {"d": Skipped("b", "ValueError: x")}
    schedule.add(call("f", "d"), 0.0)
    assert ended(schedule) == {"f": Skipped("b", "ValueError: x")}
    assert states(schedule) == "a:done b:failed c:running d:skipped e:running f:skipped"
    assert schedule.unfinished == 2


def test_expressions_hold_no_slot():
    """They are started at once, whatever the capacity."""
    schedule = Schedule(1)
    schedule.add(call("a"), 0.0)
    assert names(schedule.add(call("e", kind="expr"), 0.0)) == ["e"]
    assert names(schedule.finish("e", 1, 0.0)) == []
    assert schedule.free == 0


def test_the_longest_chain_goes_first():
    """Priority is the height; of equal heights who came first."""
    schedule = Schedule(1)
    plan = ["first", "leaf", "top", "mid top", "low mid", "other", "end other"]
    for text in plan:
        schedule.add(call(*text.split()), 0.0)
    schedule.close()
    order = ["first"]
    for _ in range(len(plan) - 1):
        order += names(schedule.finish(order[-1], 1, 0.0))
    assert order == ["first", "top", "other", "mid", "leaf", "end", "low"]


def test_of_several_children_the_highest_takes_the_free_slot():
    """Not the one that stands first in the plan."""
    schedule = Schedule(1)
    for text in ["root", "leaf root", "top root", "mid top", "low mid"]:
        schedule.add(call(*text.split()), 0.0)
    schedule.close()
    assert names(schedule.finish("root", 1, 0.0)) == ["top"]


LIMITS = {"limits": {"tool:s": 1}, "resources": {"s": ("tool:s",)}}


def test_a_limited_resource_holds_only_those_that_need_it():
    """Others pass; its slot goes on when it is given back."""
    schedule = Schedule(3, **LIMITS)
    plan = [call("a", tool="s"), call("b", tool="s"), call("c"), call("d"), call("e")]
    assert [names(schedule.add(task, 0.0)) for task in plan] == [["a"], [], ["c"], ["d"], []]
    assert names(schedule.finish("c", 1, 0.0)) == ["e"]
    assert names(schedule.finish("a", 1, 0.0)) == ["b"]
    assert (schedule.free, schedule.spare) == (0, {"tool:s": 0})


def test_a_new_task_does_not_overtake_another_lanes_higher_one():
    """A slot that is given back goes to the highest of all lanes, not to the child that asks first."""
    schedule = Schedule(1, **LIMITS)
    for text in ["a", "child a", "high", "mid high", "low mid"]:
        schedule.add(call(*text.split(), tool="s" if text == "child a" else "t"), 0.0)
    schedule.close()
    assert names(schedule.finish("a", 1, 0.0)) == ["high"]


def test_a_retry_gives_its_slot_back():
    """While it waits another starts; then it queues like any other."""
    schedule = Schedule(1)
    schedule.add(call("a"), 0.0)
    schedule.add(call("b"), 0.0)
    assert names(schedule.retry("a")) == ["b"]
    assert schedule.again("a", 2.0) == []
    assert names(schedule.finish("b", 1, 3.0)) == ["a"]
    assert (schedule.nodes["a"].attempt, schedule.nodes["a"].ready_at) == (2, 2.0)


def parking() -> Schedule:
    """Return a schedule of two slots: `a` and `b` run and ask a provider, as `c` would; `d` and `e` do not."""
    schedule = Schedule(2, resources={"p": ("provider:p",)})
    for name in "abcde":
        schedule.add(call(name, tool="p" if name in "abc" else "t"), 0.0)
    return schedule


def test_a_parked_call_gives_its_slot_to_another_provider():
    """What would ask the same one does not start, for it would only wait too."""
    schedule = parking()
    assert [names(schedule.park(name)) for name in "ab"] == [["d"], ["e"]]
    assert states(schedule) == "a:running b:running c:ready d:running e:running"


def test_a_parked_call_gets_the_next_slot_before_all_that_is_ready():
    """It is handed out to be resumed; with it the last one parked, its provider is open again."""
    schedule = parking()
    schedule.park("a")
    assert names(schedule.unpark("a")) == []
    assert names(schedule.finish("d", 1, 0.0)) == ["a"]
    assert (schedule.nodes["a"].verb, schedule.nodes["a"].parked) == ("resume", "")
    assert names(schedule.finish("b", 1, 0.0)) == ["c"]


def test_a_parked_call_may_end():
    """It gives back what it holds, and no slot that it has not."""
    schedule = parking()
    schedule.park("a")
    assert names(schedule.finish("a", BAD, 0.0)) == []
    assert schedule.free == 0
    assert names(schedule.finish("d", 1, 0.0)) == ["c"]


def test_a_call_without_a_provider_is_not_parked():
    """It keeps its slot: nothing would be closed for it, and all might come to wait."""
    schedule = Schedule(1)
    schedule.add(call("a"), 0.0)
    schedule.add(call("b"), 0.0)
    assert schedule.park("a") == []
    assert schedule.nodes["a"].parked == ""


def test_what_is_held_waits_for_close_and_for_approval():
    """It is told each time why it waits; approved, it starts if there is room."""
    why = {"a": "plan"}
    schedule = Schedule(1, gate=lambda task: why.get(task.id, ""))
    (held,) = schedule.add(call("a"), 0.0)
    assert (held.held, held.state, schedule.free) == ("plan", "ready", 1)
    why["a"] = "approval"
    (held,) = schedule.close()
    assert held.held == "approval"
    assert names(schedule.approve("a")) == ["a"]
    assert schedule.approve("a") == []
    assert states(schedule) == "a:running"


def test_pause_starts_no_new_call():
    """What runs goes on; the rest starts when the pause is over."""
    schedule = Schedule(2)
    schedule.add(call("a"), 0.0)
    assert schedule.pause(True) == []
    assert schedule.add(call("b"), 0.0) == []
    assert schedule.finish("a", 1, 0.0) == []
    assert names(schedule.pause(False)) == ["b"]


def test_cancel_ends_all_that_does_not_run():
    """It returns what runs; nothing starts afterwards, and what is added is cancelled."""
    schedule = Schedule(1)
    for text in ["a", "b", "c a"]:
        schedule.add(call(*text.split()), 0.0)
    assert names(schedule.cancel()) == ["a"]
    assert ended(schedule) == {"b": Cancelled(), "c": Cancelled()}
    assert schedule.finish("a", 1, 0.0) == []
    assert schedule.add(call("d", "a"), 0.0) == []
    assert states(schedule) == "a:done b:cancelled c:cancelled d:cancelled"
    assert schedule.unfinished == 0


# ------------------------------------------------------------------- fan-outs


def fan(schedule: Schedule, id_: str = "f", *needs: str) -> list[str]:
    return names(schedule.add(call(id_, *needs, kind="fanout"), 0.0))


def read(schedule: Schedule, id_: str, kind: str = "fanout") -> list[str]:
    """Add a task that reads items of `f`."""
    return names(schedule.add(call(id_, "f", kind=kind), 0.0, items_of=["f"], after=()))


def test_a_fanout_is_started_twice():
    """To be expanded, and when its last item has ended; children wait for the second."""
    schedule = Schedule(2)
    assert fan(schedule) == ["f"]
    schedule.add(call("after", "f"), 0.0)
    assert names(schedule.expand("f", [(call("f[0]"), True), (call("f[1]"), True)], 0.0)) == ["f[0]", "f[1]"]
    assert schedule.finish("f[1]", 1, 0.0) == []
    assert names(schedule.finish("f[0]", BAD, 0.0)) == ["f"]
    assert names(schedule.finish("f", [1, 2], 0.0)) == ["after"]


def test_an_empty_fanout_is_collected_at_once():
    """No items, no waiting."""
    schedule = Schedule()
    fan(schedule)
    assert names(schedule.expand("f", [], 0.0)) == ["f"]


def test_a_failed_step_skips_its_own_item_only():
    """The chain of an item is its own; the fan-out is collected when all items have ended."""
    schedule = Schedule()
    fan(schedule)
    steps = [(call("f[0].1"), False), (call("f[0]", "f[0].1"), True), (call("f[1]"), True)]
    schedule.expand("f", steps, 0.0)
    assert schedule.finish("f[0].1", BAD, 0.0) == []
    assert ended(schedule) == {"f[0]": Skipped("f[0].1", "ValueError: x")}
    assert names(schedule.finish("f[1]", 1, 0.0)) == ["f"]


def test_a_fanout_may_wait_for_anothers_items_only():
    """It is expanded when the other is; if that fails before, it is skipped."""
    schedule = Schedule()
    fan(schedule)
    assert read(schedule, "g") == []
    assert names(schedule.expand("f", [(call("f[0]"), True)], 0.0)) == ["g", "f[0]"]
    assert read(schedule, "h") == ["h"]
    other = Schedule()
    fan(other)
    read(other, "g")
    other.finish("f", BAD, 0.0)
    assert ended(other) == {"g": Skipped("f", "ValueError: x")}


def test_a_reader_of_items_is_linked_when_they_are_known():
    """It then waits for what it really reads; a fan-out that failed before takes it along."""
    schedule = Schedule()
    fan(schedule)
    assert read(schedule, "r", "call") == []
    (reader, _) = schedule.expand("f", [(call("f[0]"), True)], 0.0)
    assert (reader.task.id, reader.verb) == ("r", "link")
    assert schedule.link("r", call("r", "f[0]"), 0.0) == []
    (reader,) = schedule.finish("f[0]", 1, 0.0)[:1]
    assert states(schedule) == "f:running r:running f[0]:done"


def test_an_expression_that_turns_out_to_be_long_may_get_a_slot():
    """Handed out to be evaluated, it is replaced by a call, which is queued like any other."""
    schedule = Schedule(1)
    schedule.add(call("a"), 0.0)
    (node,) = schedule.add(call("e", kind="expr"), 0.0)
    assert node.verb == "evaluate"
    assert schedule.link("e", call("e"), 0.0) == []
    (node,) = schedule.finish("a", 1, 0.0)
    assert (node.task.id, node.verb, node.attempt) == ("e", "start", 1)
    schedule.finish("e", 1, 0.0)
    assert schedule.free == 1


def test_a_known_fanout_holds_nobody():
    """One that got its value without being expanded, before or after others wait for its items."""
    schedule = Schedule()
    schedule.add_twin(call("f", kind="fanout"))
    assert read(schedule, "g") == []
    assert names(schedule.finish("f", [1], 0.0)) == ["g"]
    assert read(schedule, "h") == ["h"]


def test_what_is_known_elsewhere_takes_no_slot():
    """A task that is known waits for its outcome, whatever runs."""
    schedule = Schedule(1)
    schedule.add(call("a"), 0.0)
    assert schedule.add_twin(call("b")) == []
    assert names(schedule.finish("b", 1, 0.0)) == []
    assert (schedule.free, states(schedule)) == (0, "a:running b:done")


# ------------------------------------------------------------------- one task is steered


def revive(schedule: Schedule, *ids: str, idle=()) -> list[str]:
    """Let tasks go on, each with what it reads."""
    return names(schedule.revive({id_: (schedule.nodes[id_].task.awaited(), ()) for id_ in ids}, 0.0, idle=idle))


def test_what_failed_goes_on_with_what_was_skipped_for_it():
    """It starts again, and what depends on it waits for it, and for nothing twice."""
    schedule = Schedule()
    for text in [*DIAMOND, "e d"]:
        schedule.add(call(*text.split()), 0.0)
    schedule.finish("a", 1, 0.0)
    schedule.finish("b", BAD, 0.0)
    assert set(ended(schedule)) == {"d", "e"}
    assert revive(schedule, "b", "d", "e") == ["b"]
    assert (states(schedule), schedule.unfinished) == ("a:done b:running c:running d:waiting e:waiting", 4)
    assert names(schedule.finish("b", 1, 0.0)) == []
    assert names(schedule.finish("c", 1, 0.0)) == ["d"]
    assert names(schedule.finish("d", 1, 0.0)) == ["e"]


def test_what_goes_on_may_be_given_its_outcome():
    """It does not start; what depends on it does."""
    schedule = Schedule()
    for text in ["a", "b a"]:
        schedule.add(call(*text.split()), 0.0)
    schedule.finish("a", BAD, 0.0)
    ended(schedule)
    assert revive(schedule, "a", "b", idle=["a"]) == []
    assert names(schedule.finish("a", 1, 0.0)) == ["b"]


def test_what_lacks_something_else_is_skipped_again():
    """For that, and what depends on it, too."""
    schedule = Schedule()
    for text in ["a", "b", "c a b", "d c"]:
        schedule.add(call(*text.split()), 0.0)
    schedule.finish("a", BAD, 0.0)
    schedule.finish("b", BAD, 0.0)
    ended(schedule)
    assert revive(schedule, "a", "c", "d") == ["a"]
    assert ended(schedule) == {"c": Skipped("b", "ValueError: x"), "d": Skipped("b", "ValueError: x")}


def test_a_fanout_goes_on_with_its_failed_items():
    """It is not expanded again, and collected when they have ended."""
    schedule = Schedule()
    fan(schedule)
    schedule.add(call("after", "f"), 0.0)
    schedule.expand("f", [(call("f[0]"), True), (call("f[1]"), True)], 0.0)
    schedule.finish("f[0]", 1, 0.0)
    schedule.finish("f[1]", BAD, 0.0)
    schedule.finish("f", BAD, 0.0)
    assert ended(schedule) == {"after": Skipped("f", "ValueError: x")}
    assert revive(schedule, "f", "after", "f[1]") == ["f[1]"]
    (node,) = schedule.finish("f[1]", 1, 0.0)
    assert (node.task.id, node.verb) == ("f", "collect")
    assert names(schedule.finish("f", [1, 1], 0.0)) == ["after"]


def test_what_follows_a_side_effect_that_is_tried_again_waits_for_it_once_more():
    """If it has not begun: also what waits for a slot, and what follows something that has ended."""
    schedule = Schedule(1, effect=lambda task: task.tool == "effect")
    for text, follows in [("a", ""), ("no", "a"), ("read", "no"), ("last", "read")]:
        tool = "t" if text == "read" else "effect"
        schedule.add(Task(text, "call", tool, follows=tuple(follows.split())), 0.0)
    schedule.add(call("busy"), 0.0)
    schedule.finish("a", BAD, 0.0)
    assert set(ended(schedule)) == {"no"}
    assert states(schedule) == "a:failed no:skipped read:ready last:waiting busy:running"
    assert revive(schedule, "a", "no") == []
    assert states(schedule) == "a:ready no:waiting read:ready last:waiting busy:running"
    assert names(schedule.finish("busy", 1, 0.0)) == ["a"]
    assert [names(schedule.finish(name, 1, 0.0)) for name in ("a", "no", "read", "last")] == [
        ["no"], ["read"], ["last"], [],
    ]  # fmt: skip


def test_a_call_that_is_withdrawn_may_end():
    """It leaves the queue, and nobody else does."""
    schedule = Schedule(1)
    for name in ("busy", "a", "b"):
        schedule.add(call(name), 0.0)
    schedule.withdraw("a")
    assert names(schedule.finish("a", Skipped("a", "", by_user=True), 0.0)) == []
    assert names(schedule.finish("busy", 1, 0.0)) == ["b"]


def test_only_what_ended_without_a_value_goes_on():
    """Anything else is refused, and nothing changes."""
    for state in set(STATES) - {"failed", "skipped", "cancelled"}:
        schedule = in_state(state)
        with pytest.raises(ValueError, match=f"a is {state} and cannot go on"):
            revive(schedule, "a")
        assert schedule.nodes["a"].state == state


# ------------------------------------------------------------------- the table


def in_state(state: str) -> Schedule:
    """Return a schedule whose task "a" is in a state."""
    schedule = Schedule(1, gate=lambda task: "approval" if state == "ready" else "")
    schedule.add(call("root", kind="expr"), 0.0)
    schedule.add(call("a", "root"), 0.0)
    if state in ("skipped", "cancelled"):
        schedule.finish("root", BAD if state == "skipped" else Cancelled(), 0.0)
    elif state != "waiting":
        schedule.finish("root", 1, 0.0)
        if state in ("done", "failed"):
            schedule.finish("a", 1 if state == "done" else BAD, 0.0)
    assert schedule.nodes["a"].state == state
    return schedule


@pytest.mark.parametrize(("old", "new"), [pair for pair in product(STATES, sorted(ENDED)) if pair[0] != pair[1]])
def test_only_what_the_table_allows_happens(old, new):
    """Every end from every state: legal ones happen, all others raise and change nothing."""
    schedule = in_state(old)
    before = schedule.unfinished
    outcome = {"done": 1, "failed": BAD, "skipped": Skipped("x", "y"), "cancelled": Cancelled()}[new]
    if (old, new) in TRANSITIONS:
        schedule.finish("a", outcome, 0.0)
        assert (schedule.nodes["a"].state, schedule.unfinished) == (new, before - 1)
    else:
        with pytest.raises(ValueError, match=f"a cannot go from {old} to {new}"):
            schedule.finish("a", outcome, 0.0)
        assert (schedule.nodes["a"].state, schedule.unfinished, schedule.free) == (old, before, schedule.free)


ENTRIES = {
    "finish done": lambda schedule: schedule.finish("a", 1, 0.0),
    "finish failed": lambda schedule: schedule.finish("a", BAD, 0.0),
    "finish skipped": lambda schedule: schedule.finish("a", Skipped("x", "y"), 0.0),
    "finish cancelled": lambda schedule: schedule.finish("a", Cancelled(), 0.0),
    "retry": lambda schedule: schedule.retry("a"),
    "again": lambda schedule: schedule.again("a", 0.0),
    "take back": lambda schedule: schedule.take_back("a", 0.0),
    "park": lambda schedule: schedule.park("a"),
    "unpark": lambda schedule: schedule.unpark("a"),
    "approve": lambda schedule: schedule.approve("a"),
    "expand": lambda schedule: schedule.expand("a", [], 0.0),
    "link": lambda schedule: schedule.link("a", call("a"), 0.0),
    "close": lambda schedule: schedule.close(),
    "cancel": lambda schedule: schedule.cancel(),
    "pause": lambda schedule: schedule.pause(True),
    "withdraw": lambda schedule: schedule.withdraw("a"),
}
MOVES = {
    ("waiting", "finish done"): "done", ("waiting", "finish failed"): "failed",
    ("waiting", "finish skipped"): "skipped", ("waiting", "finish cancelled"): "cancelled",
    ("waiting", "cancel"): "cancelled",
    ("ready", "finish done"): "done",
    ("ready", "finish failed"): "failed", ("ready", "finish cancelled"): "cancelled", ("ready", "cancel"): "cancelled",
    ("ready", "finish skipped"): "skipped",
    ("ready", "approve"): "running",
    ("running", "finish done"): "done", ("running", "finish failed"): "failed",
    ("running", "finish cancelled"): "cancelled", ("running", "finish skipped"): "skipped",
    ("running", "retry"): "waiting",
    ("running", "take back"): "running",  # it is free to start again, and does
}  # fmt: skip
QUIET = {"unpark", "approve", "close", "cancel", "pause", "withdraw"}
"""Entries that do nothing for a task to which they do not apply, in any state."""


@pytest.mark.parametrize(("state", "entry"), list(product(STATES, ENTRIES)))
def test_every_event_in_every_state_moves_by_the_table_or_is_refused(state, entry):
    """An event either makes its one move, or does nothing for it does not apply, or raises and changes nothing."""
    schedule = in_state(state)
    before = (state, schedule.unfinished, schedule.free, len(schedule.ended))
    expected = MOVES.get((state, entry), state)
    quiet = entry in QUIET or (entry == "again" and state in ENDED) or (entry == "park" and state == "running")
    if expected == state and not quiet and (state, entry) not in MOVES:
        with pytest.raises(ValueError, match=f"a (cannot go from|is) {state}"):
            ENTRIES[entry](schedule)
        assert (schedule.nodes["a"].state, schedule.unfinished, schedule.free, len(schedule.ended)) == before
    else:
        ENTRIES[entry](schedule)
        assert schedule.nodes["a"].state == expected
        assert expected == state or expected in after(state)


def test_a_call_in_the_queue_cannot_end():
    """It is ready, held by nothing, and would be started after its end."""
    schedule = Schedule(1)
    schedule.add(call("busy"), 0.0)
    schedule.add(call("a"), 0.0)
    with pytest.raises(ValueError, match="a is ready and waits for a slot"):
        schedule.finish("a", BAD, 0.0)
    assert names(schedule.finish("busy", 1, 0.0)) == ["a"]


def test_a_start_that_is_taken_back_is_judged_anew():
    """It does not count as an attempt; its slot goes on."""
    held = {"a": ""}
    schedule = Schedule(1, gate=lambda task: held.get(task.id, ""))
    schedule.add(call("a"), 0.0)
    schedule.add(call("b"), 0.0)
    held["a"] = "approval"
    asked, started = schedule.take_back("a", 1.0)
    assert (asked.task.id, asked.verb, asked.attempt) == ("a", "ask", 0)
    assert (started.task.id, started.verb) == ("b", "start")


def test_what_cannot_be_is_refused():
    """Two tasks of a name, an unknown parent, no capacity, a retry of what does not run."""
    schedule = in_state("done")
    for wrong in [lambda: schedule.add(call("a"), 0.0), lambda: schedule.retry("a"), lambda: Schedule(0)]:
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(KeyError):
        schedule.add(call("b", "nobody"), 0.0)


# ------------------------------------------------------------------- any sequence of events

TOOLS = ("t", "s", "u", "effect")
NEEDS = {"s": ("tool:s",), "u": ("tool:s", "provider:p")}


def after(state: str) -> set[str]:
    """Return the states that a task may come to by the table, in one step or more."""
    found, more = set(), {state}
    while more:
        more = {new for old, new in TRANSITIONS if old in more} - found
        found |= more
    return found


class AnyEvents(RuleBasedStateMachine):
    """Whatever happens in whatever order, what must hold holds after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = {"tool:s": 2, "provider:p": 1}
        self.schedule = Schedule(3, limits=self.limits, resources=NEEDS, gate=self.gate)
        self.approved: set[str] = set()
        self.running: set[str] = set()
        self.started: dict[str, int] = {}
        self.outcomes: dict[str, object] = {}
        self.inline: list = []
        self.retrying: set[str] = set()
        self.before: dict[str, str] = {}
        self.sources: dict[str, str] = {}  # the fan-outs that tasks read items of

    def gate(self, task: Task) -> str:
        if task.tool != "effect" or task.id in self.approved:
            return ""
        return "approval" if self.schedule.closed else "plan"

    def take(self, nodes) -> None:
        """Start what the schedule says, and record what it ended by itself."""
        for id_, outcome in ended(self.schedule).items():
            assert id_ not in self.outcomes, "ended twice"
            self.outcomes[id_] = outcome
        for node in nodes:
            assert not self.schedule.cancelled or node.state in ENDED, "started after cancel"
            if node.state in ENDED:
                continue
            if node.verb == "link":
                self.link(node)
            elif node.verb in ("evaluate", "expand", "collect"):
                self.inline.append(node)
            elif node.verb == "resume":
                assert node.task.id in self.running
                assert not node.parked
            elif node.verb == "ask":
                assert node.held
            else:
                assert node.verb == "start"
                assert node.task.id not in self.running
                assert all(need in self.outcomes for need in node.task.dependencies), "started early"
                assert all(not isinstance(self.outcomes[n], Failure | Skipped) for n in node.task.dependencies)
                self.running.add(node.task.id)

    def end(self, id_: str, outcome: object) -> None:
        assert id_ not in self.outcomes, "ended twice"
        self.outcomes[id_] = outcome
        self.running.discard(id_)
        self.take(self.schedule.finish(id_, outcome, 0.0))

    @rule(data=st.data(), tool=st.sampled_from(TOOLS), kind=st.sampled_from(["call", "call", "call", "expr", "fanout"]))
    def add(self, data, tool, kind):
        known = list(self.schedule.nodes)
        needs = data.draw(st.lists(st.sampled_from(known), max_size=3, unique=True)) if known else []
        task = call(f"n{len(known)}", *needs, tool=tool, kind=kind)
        self.take(self.schedule.add(task, 0.0))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from([1, 1, 1, BAD, Cancelled()]))
    def finish(self, data, outcome):
        self.end(data.draw(st.sampled_from(sorted(self.running))), outcome)

    @precondition(lambda self: self.inline)
    @rule(outcome=st.sampled_from([1, 1, BAD]), count=st.integers(0, 3), step=st.booleans())
    def perform(self, outcome, count, step):
        node = self.inline.pop(0)
        id_ = node.task.id
        if node.state in ENDED:
            return
        if node.task.kind == "fanout" and not node.expanded and outcome == 1:
            items = [(call(f"{id_}[{i}]", *([f"{id_}[{i}].1"] if step else [])), True) for i in range(count)]
            steps = [(call(f"{id_}[{i}].1", tool="s"), False) for i in range(count if step else 0)]
            self.take(self.schedule.expand(id_, [*steps, *items], 0.0))
        else:
            self.end(id_, outcome)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def retry(self, data):
        if self.schedule.cancelled:
            return
        id_ = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(id_)
        self.retrying.add(id_)
        self.take(self.schedule.retry(id_))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def park(self, data):
        id_ = data.draw(st.sampled_from(sorted(self.running)))
        act = self.schedule.unpark if self.schedule.nodes[id_].parked == "provider" else self.schedule.park
        self.take(act(id_))

    @precondition(lambda self: self.retrying)
    @rule()
    def again(self):
        self.take(self.schedule.again(self.retrying.pop(), 0.0))

    @precondition(lambda self: any(node.held for node in self.schedule.nodes.values()))
    @rule(data=st.data(), approved=st.booleans())
    def decide(self, data, approved):
        held = sorted(id_ for id_, node in self.schedule.nodes.items() if node.held and node.state == "ready")
        if not held:
            return
        id_ = data.draw(st.sampled_from(held))
        if approved:
            self.approved.add(id_)
            self.take(self.schedule.approve(id_))
        else:
            self.end(id_, Failure("denied", "no"))

    @precondition(lambda self: any(node.task.kind == "fanout" for node in self.schedule.nodes.values()))
    @rule(data=st.data(), tool=st.sampled_from(TOOLS), deferred=st.booleans())
    def read_items(self, data, tool, deferred):
        """Take a task that waits only until a fan-out's items are known, and then for some of these."""
        fanouts = [id_ for id_, node in self.schedule.nodes.items() if node.task.kind == "fanout"]
        id_, source = f"n{len(self.schedule.nodes)}", data.draw(st.sampled_from(fanouts))
        if deferred:
            task = call(id_, source, tool=tool)
            self.sources[id_] = source
            self.take(self.schedule.add(task, 0.0, items_of=[source], after=()))
        else:
            fanout = call(id_, source, kind="fanout")
            self.take(self.schedule.add(fanout, 0.0, items_of=[source], after=()))

    def link(self, node) -> None:
        """Say which items a task reads: the first, if there is one."""
        id_, source = node.task.id, self.sources[node.task.id]
        items = [f"{source}[0]"] if f"{source}[0]" in self.schedule.nodes else []
        self.take(self.schedule.link(id_, call(id_, *items, tool=node.task.tool), 0.0))

    @rule(data=st.data())
    def skip(self, data):
        """Skip a call that has not started, wherever it waits."""
        waiting = [id_ for id_, node in self.schedule.nodes.items() if node.task.kind == "call" and not node.owner]
        waiting = [id_ for id_ in waiting if self.schedule.nodes[id_].state in ("waiting", "ready")]
        if waiting and not self.schedule.cancelled:
            id_ = data.draw(st.sampled_from(waiting))
            self.retrying.discard(id_)
            self.schedule.withdraw(id_)
            self.end(id_, Skipped(id_, "", by_user=True))

    @rule(data=st.data(), gives=st.booleans())
    def revive(self, data, gives):
        """Let what failed go on, or give it a value: with all that was skipped for it, and its fan-out."""
        nodes = self.schedule.nodes
        roots = [
            id_ for id_, end in self.outcomes.items() if isinstance(end, Failure) or getattr(end, "cause", "") == id_
        ]
        if not roots or self.schedule.cancelled:
            return
        root = data.draw(st.sampled_from(roots))
        owner = nodes[root].owner
        ids = {root} | ({owner.task.id} if owner is not None and owner.state == "failed" else set())
        if owner is not None and owner.state not in ("failed", "running"):
            return
        ids |= {id_ for id_, end in self.outcomes.items() if getattr(end, "cause", "") in ids}
        ids |= {id_ for id_ in nodes if id_.partition(".")[0] in ids and nodes[id_].lost}
        readers = [node for id_, node in nodes.items() if ids.intersection(node.task.dependencies) and id_ not in ids]
        if any(node.state in ("done", "running") for node in readers):
            return  # a task that only waited until the items were known
        if any(nodes[id_].owner is not None and nodes[id_].owner.task.id not in ids for id_ in ids if id_ != root):
            return
        for id_ in ids:
            del self.outcomes[id_]
            self.before[id_] = "waiting"
        self.inline = [node for node in self.inline if node.task.id not in ids]
        reads = {id_: (nodes[id_].task.awaited(), ()) for id_ in nodes if id_ in ids}
        given = [root] if gives and nodes[root].task.kind == "call" else []
        handed_out = self.schedule.revive(reads, 0.0, idle=given)
        self.take(handed_out)
        if given:
            self.end(root, 1)

    @rule(value=st.sampled_from([1, BAD]))
    def pin(self, value):
        id_ = f"n{len(self.schedule.nodes)}"
        self.take(self.schedule.add_twin(call(id_)))
        if id_ not in self.outcomes:
            self.end(id_, value)

    @rule(paused=st.booleans())
    def pause(self, paused):
        self.take(self.schedule.pause(paused))

    @precondition(lambda self: len(self.schedule.nodes) > 8)
    @rule()
    def close(self):
        self.take(self.schedule.close())

    @precondition(lambda self: len(self.schedule.nodes) > 25)
    @rule()
    def cancel(self):
        running = names(self.schedule.cancel())
        assert set(running) == self.running
        self.take([])

    @invariant()
    def never_over_capacity(self):
        schedule = self.schedule
        running = [node for node in schedule.nodes.values() if node.state == "running" and node.task.kind == "call"]
        assert {node.task.id for node in running} == self.running
        assert schedule.free == 3 - sum(not node.parked for node in running) >= 0
        closed = {r for node in running if node.parked == "provider" for r in node.lane if r.startswith("provider")}
        for resource, limit in self.limits.items():
            used = sum(resource in NEEDS.get(node.task.tool, ()) for node in running)
            assert used <= limit
            assert schedule.spare[resource] == limit - used
            assert bool(schedule.away[resource]) == (resource in closed)

    @invariant()
    def nothing_startable_waits(self):
        schedule = self.schedule
        if schedule.paused or not schedule.free:
            return
        assert schedule.cancelled or not schedule.returning
        for node in schedule.nodes.values():
            if node.state == "ready" and not node.held:
                assert any(schedule.spare[resource] <= 0 or schedule.away[resource] for resource in node.lane), (
                    f"{node} starves"
                )

    @invariant()
    def every_task_has_one_end(self):
        nodes = self.schedule.nodes
        assert {id_ for id_, node in nodes.items() if node.state in ENDED} == set(self.outcomes)
        assert self.schedule.unfinished == len(nodes) - len(self.outcomes)

    @invariant()
    def only_descendants_are_skipped_and_the_cause_is_true(self):
        for id_, outcome in self.outcomes.items():
            if isinstance(outcome, Skipped) and outcome.cause != id_:
                assert isinstance(self.outcomes[outcome.cause], Failure | Skipped)
                assert outcome.cause in self.ancestors(id_)

    def ancestors(self, id_: str) -> set[str]:
        found: set[str] = set()
        stack = [id_]
        while stack:
            for need in self.schedule.nodes[stack.pop()].task.dependencies:
                if need not in found:
                    found.add(need)
                    stack.append(need)
        return found

    @invariant()
    def states_change_by_the_table(self):
        for id_, node in self.schedule.nodes.items():
            old, new = self.before.get(id_, "waiting"), node.state
            if old != new:
                assert new in after(old), f"{node} was {old}"
            self.before[id_] = new

    @invariant()
    def what_is_ready_has_its_inputs(self):
        for id_, node in self.schedule.nodes.items():
            if node.state in ("ready", "running") and node.task.kind == "call":
                needs = node.task.dependencies
                assert all(self.schedule.nodes[need].state == "done" for need in needs), f"{id_} is {node.state} early"


@pytest.mark.promise
def test_whatever_happens_to_the_schedule_its_rules_hold(figure):
    """Random events, each followed by all invariants: nobody over a limit, nobody starves, one end each."""
    run_state_machine_as_test(AnyEvents, settings=settings(max_examples=times(60), stateful_step_count=80))
    figure(f"{times(60):,} stories of up to 80 events")
