"""Shorthands for tests that perform tasks: a session, a program in it, and what came of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from compiler_nb.engine.session import Session
from compiler_nb.events import Log
from compiler_nb.plan.plan import Plan
from compiler_nb.tool import Toolbox
from compiler_nb.trace import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


@asynccontextmanager
async def opened(tools: Iterable[Any], **options: Any) -> AsyncIterator[Session]:
    """Give a session, and let go of its threads in the end."""
    loop = asyncio.get_running_loop()
    session = Session(Toolbox(tools), Log("run", loop.time), **options)
    try:
        yield session
    finally:
        session.cancel()
        await session.drained()
        session.finish()


def add(session: Session, program: str, **options: Any) -> Plan:
    """Parse a program and add its tasks, one by one."""
    inputs = tuple(session.inputs)
    plan = Plan.parse(program, dialect="python", tools=session.tools, inputs=inputs, **options)
    for task in plan:
        session.add(task)
    return plan


async def perform(program: str, tools: Iterable[Any], **options: Any) -> Session:
    """Perform a whole program and return its session."""
    async with opened(tools, **options) as session:
        add(session, program)
        session.close()
        await session.drained()
        return session


def states(session: Session) -> dict[str, str]:
    """Return the state of each task, as the events tell it and as the schedule has it."""
    told: dict[str, str] = dict(Progress(session.log.events).states)
    for id_, node in session.schedule.nodes.items():
        state = told.get(id_, node.state)  # events do not tell what is ready and waits for a slot
        assert state == node.state or (state, node.state) == ("waiting", "ready"), id_
    return {id_: node.state for id_, node in session.schedule.nodes.items()}


def told(session: Session, kind: type) -> list[Any]:
    """Return the events of a kind, in order."""
    return [event for event in session.log.events if isinstance(event, kind)]
