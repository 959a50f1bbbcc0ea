"""Events that tell a story, with a clock that goes on by a second each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from compiler_nb.events import Log, TaskExpanded, TaskPlanned
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.plan.tree import Ref

if TYPE_CHECKING:
    from compiler_nb.events import Event


class Story:
    """Events with a clock that goes on by a second each."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log = Log("r", clock=self.tick)

    def tick(self) -> float:
        """Go on by a second."""
        self.now += 1.0
        return self.now

    def tell(self, kind: Any, *fields: Any) -> Self:
        """Append an event; return the story."""
        self.log.emit(kind, *fields)
        return self

    def plan(self, id_: str, *needs: str) -> Self:
        """Append the planning of a call."""
        return self.tell(TaskPlanned, id_, 0, Task(id_, "call", "get", tuple(Ref(name) for name in needs)), "")

    @property
    def events(self) -> list[Event]:
        """What happened."""
        return self.log.events

    def program(self, text: str, *, inputs: tuple[str, ...] = ()) -> Self:
        """Append the planning of a program's tasks."""
        for task in Plan.parse(text, dialect="python", inputs=inputs, implied="value"):
            self.tell(TaskPlanned, task.id, 0, task, "")
        return self

    def expand(self, id_: str, *items: str) -> Self:
        """Append the expansion of a fan-out into calls."""
        return self.tell(TaskExpanded, id_, 1, tuple(Task(item, "call", "get") for item in items))
