"""Which tasks have everything that they read, by the rules that the engine follows.

A task that reads items of a fan-out by key waits for these items alone. A fan-out over another one may only need to
know what its items are. Events show items only by their ids; if an id does not say which item is meant, the task stays
`waiting`: it may be ready already, but it is never called ready before it is.

A guarded task waits for what its guard reads; once it is chosen, for its arguments. A task of the order of side
effects that has all that it reads waits for its turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from compiler_nb.outcome import ENDED, State
from compiler_nb.plan.effects import Turns
from compiler_nb.plan.expression import Item
from compiler_nb.plan.fanout import needs
from compiler_nb.plan.task import Task, item_id, owner_of
from compiler_nb.plan.tree import Expression, Ref, walk

VALUE, ITEMS, ITEM, TWIN = "", "items", "item", "twin"
"""What of a task another one waits for: its value, that its items are known, one of its items, the same outcome."""
_LONGEST_KEY: Final = 40
_OTHER_VALUES: Final = frozenset({"None", "True", "False"})


class Readiness:
    """What each task still waits for.

    tasks, states: those of the run, by id; whoever keeps them adds a task after `plan` has seen it.
    missing: what a task waits for, with VALUE, ITEMS, ITEM or TWIN; needs: what it waited for in the end; shapes: the
    fan-outs whose items it needed to know; last: the task whose end made it ready, and when that was; items: of
    fan-outs; adopted: for a task that gets the outcome of another one, that one; guarded: tasks whose guard has not
    been evaluated; unneeded: those whose guard was false; readable: failed fan-outs of earlier rounds; turns: of the
    tasks that follow others.
    """

    def __init__(self, tasks: Mapping[str, Task], states: Mapping[str, State]) -> None:
        self.tasks, self.states = tasks, states
        self.missing: dict[str, dict[str, str]] = {}
        self.needs: dict[str, list[str]] = {}
        self.shapes: dict[str, tuple[str, ...]] = {}
        self.last: dict[str, tuple[str, float]] = {}
        self.items: dict[str, tuple[str, ...]] = {}
        self.adopted: dict[str, str] = {}
        self.guarded: set[str] = set()
        self.unneeded: set[str] = set()
        self.readable: set[str] = set()
        self.turns = Turns(lambda id_: self.states.get(id_, "done") in ENDED)
        self._own: dict[str, list[str]] = {}  # items without the earlier calls of their chains, by fan-out
        self._readers: defaultdict[str, list[str]] = defaultdict(list)
        self._watchers: defaultdict[str, list[str]] = defaultdict(list)
        self._fanouts = False

    def plan(self, task: Task, source: str) -> bool:
        """Take a task of a plan, and the one whose outcome it gets; return whether it has all that it reads."""
        if task.follows:
            self.turns.add(task)
        if not source:
            return self.wait(task)
        self._fanouts = self._fanouts or task.kind == "fanout"
        self.adopted[task.id] = source
        self.needs[task.id] = [source]
        self.missing[task.id] = {source: TWIN}
        return False

    def wait(self, task: Task) -> bool:
        """Let a task wait for what is not there yet of all that it needs; return whether it has all."""
        id_ = task.id
        if task.guard is not None:
            self.guarded.add(id_)
        self._fanouts = self._fanouts or task.kind == "fanout"
        whole, shapes = needs(task, self._container) if self._fanouts else (task.awaited(), ())
        self.needs[id_], self.shapes[id_] = [], shapes
        missing = self.missing[id_] = {}
        self._need(id_, dict.fromkeys(whole, VALUE))
        for name in shapes:
            if name in self.items:
                self._link(task, name)
            elif not self._is_there(name):
                missing[name] = ITEMS
                self._watchers[name].append(id_)
        return not missing and task.guard is None and id_ not in self.turns.left

    def move(self, old: Task, new: Task) -> bool:
        """Let a task follow others than before; return whether it has all that it reads, and its turn has come."""
        self.turns.move(old, new)
        return not self.missing[new.id] and new.id not in self.guarded and new.id not in self.turns.left

    def choose(self, id_: str) -> bool:
        """Let a guarded task that is needed wait for its arguments; return whether it has all of them."""
        before, shapes = self.needs[id_], self.shapes[id_]
        self.guarded.discard(id_)
        has_all = self.wait(replace(self.tasks[id_], guard=None))
        self.needs[id_], self.shapes[id_] = before + self.needs[id_], shapes + self.shapes[id_]
        return has_all

    def _is_there(self, name: str) -> bool:
        return self.states.get(name) == "done" or name in self.unneeded or name in self.readable

    def _need(self, id_: str, what: Mapping[str, str]) -> None:
        self.needs[id_] += what
        for name, how in what.items():
            if not self._is_there(name):
                self.missing[id_][name] = how
                self._readers[name].append(id_)

    def _link(self, task: Task, fanout: str) -> None:
        """Let a task wait for the items of a fan-out that it reads, now that they are known; a fan-out for none."""
        if task.kind != "fanout" or task.id in self.guarded:
            self._need(task.id, dict(self._items_read(task, fanout)))

    def _container(self, id_: str) -> str:
        task = self.tasks.get(id_)
        if task is None or task.kind != "fanout" or id_ in self.adopted or self._is_there(id_):
            return ""
        return str(task.args[0].container)

    def expand(self, id_: str, items: tuple[str, ...], at: float) -> Iterator[str]:
        """Note the items of a fan-out; yield the ids of the tasks that have all that they read with that."""
        self.items[id_] = items
        for reader in self._watchers.pop(id_, ()):
            self.missing[reader].pop(id_, None)
            self._link(self.tasks[reader], id_)
            yield from self._look(reader, id_, at)

    def end(self, id_: str, at: float) -> Iterator[str]:
        """Note that a task is done or not needed; yield the ids of the tasks that have all that they read with that."""
        for reader in (*self._readers.pop(id_, ()), *self._watchers.pop(id_, ())):
            self.missing[reader].pop(id_, None)
            yield from self._look(reader, id_, at)

    def lose(self, id_: str) -> None:
        """Note that a task ended without a value: expressions with guarded calls do not wait for it anymore."""
        for reader in self._readers.get(id_, ()):
            if any(
                self.tasks[name].guard is not None for name in self.tasks[reader].dependencies if name in self.tasks
            ):
                self.missing[reader].pop(id_, None)

    def revive(self, task: Task) -> bool:
        """Let a task that had ended without a value wait again; return whether it has all that it reads."""
        id_ = task.id
        self.turns.reopen(id_, self.tasks.values())
        for reader in self._readers.get(id_, ()):  # an expression that could have gone without it waits for it again
            if self.states[reader] == "waiting":
                self.missing[reader][id_] = VALUE
        if id_ in self.adopted:
            self.missing[id_] = {self.adopted[id_]: TWIN}
        elif id_ not in self.items:
            chosen = task.guard is not None and id_ not in self.guarded
            return self.wait(replace(task, guard=None) if chosen else task)
        return False

    def _look(self, reader: str, id_: str, at: float) -> Iterator[str]:
        if not self.missing[reader] and reader not in self.turns.left:
            self.last[reader] = (id_, at)
            if reader not in self.guarded:
                yield reader

    # ---------------------------------------------------------------- turns

    def pass_turn(self, id_: str, at: float) -> Iterator[str]:
        """Note that a task has ended, however; yield the ids of those that only waited for their turn, if it has come.

        To be called after `end` or `lose`.
        """
        for follower in self.turns.end(id_):
            if self.states[follower] not in ENDED:
                yield from self._look(follower, id_, at)

    def turn_of(self, id_: str) -> list[str]:
        """Return what has not ended of the tasks that a task waits for until its turn comes."""
        found: dict[str, None] = {}
        open_ = [id_] if id_ in self.turns.left else []
        for name in open_:  # one that has ended before its turn stands for those that it follows
            owner = owner_of(name)
            follows = self.tasks[name].follows if self.tasks[name].follows != (owner,) else self.tasks[owner].follows
            for each in follows:
                if self.states.get(each, "done") not in ENDED:
                    found[each] = None
                elif each in self.turns.left:
                    open_.append(each)
        return list(found)

    # ---------------------------------------------------------------- items by key

    def _items_read(self, task: Task, fanout: str) -> Iterator[tuple[str, str]]:
        """Yield the items of a fan-out that a task reads by known keys, each a VALUE, or an ITEM if ids do not say."""
        for part in walk(task.guard if task.id in self.guarded else (task.args, task.kwargs)):
            if isinstance(part, Item) and isinstance(part.value, Ref) and part.value.id == fanout:
                item = None if isinstance(part.key, Expression) else self._find_item(part.key, fanout)
                yield (fanout, ITEM) if item is None else (item, VALUE)

    def _find_item(self, key: Any, fanout: str) -> str | None:
        """Return the id of the item with a key, or None if ids, which only show keys, do not say.

        They do not for a key that is shown like one of another type (1 and "1"), cut, or there twice.
        """
        args = self.tasks[fanout].args
        if args and args[0].container == "list":
            own = self._own.get(fanout)
            if own is None:
                own = self._own[fanout] = [id_ for id_ in self.items[fanout] if id_.endswith("]")]
            return own[key] if type(key) is int and -len(own) <= key < len(own) else None
        plain = type(key) is str and len(key) <= _LONGEST_KEY and key.isprintable() and not set(key) & set("[]#,")
        item, twice = item_id(fanout, key), item_id(fanout, key, 2)
        unclear = not plain or key in _OTHER_VALUES or _is_number(key) or twice in self.tasks
        return item if not unclear and item in self.tasks else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
