"""What performs the tasks of a run: a session, set up as the run's settings say and as earlier runs require."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from compiler_nb.engine.effects.approval import Ask
from compiler_nb.engine.effects.ledger import Ledger
from compiler_nb.engine.runners import PostToMain
from compiler_nb.engine.session import Session
from compiler_nb.events import Warned
from compiler_nb.models.limits import shared_limits
from compiler_nb.run import Run
from compiler_nb.settings.order import Past
from compiler_nb.settings.settings import Settings
from compiler_nb.toolbox.language import LanguageTool


def open_session(run: Run, past: Past, ask: Ask | None, main: PostToMain | None) -> Session:
    """Return what performs the tasks of a run. Tools run in a copy of the context in which this is called.

    past: what earlier runs leave; ask, main: as for Drive.
    """
    settings = run.settings
    make = Session if settings.engine == "local" else settings.engine.session
    session: Session = make(
        settings.tools, run.log, inputs=run.inputs, max_concurrency=settings.max_concurrency, limits=settings.caps,
        approve=settings.approve, ask=ask, main=main, drop_failed=settings.drop_failed, bounds=settings.bounds,
    )  # fmt: skip
    if "pandas" in sys.modules:
        _watch_tables(session)
    session.secrets = settings.secrets
    session.effects.ledger = Ledger(run.id, run.effects, wary=past.wary)
    session.recall = past.recall if past.parent or past.pins or past.follow else None
    session.rates, session.rated = shared_limits(settings.limits), _rated(settings)
    session.warn = run.control.warn
    return session


def _watch_tables(session: Session) -> None:
    """Warn of tools that change a table which is their argument."""
    from compiler_nb.engine.altered import watch_tables  # noqa: PLC0415 - only who has tables needs it

    loop = session.loop

    def tell(id_: str, table: Any, who: str, change: str) -> None:
        with suppress(RuntimeError):  # the loop is closed: the run is over
            loop.call_soon_threadsafe(warn, id_, table, who, change)

    def warn(id_: str, table: Any, who: str, change: str) -> None:
        if not vars(session):  # it is forgotten: a call that was given up has outlived its run
            return
        inputs = (f"the input {name}" for name, value in session.inputs.items() if value is table)
        results = (f"the result {name}" for name, value in session.outcomes.items() if value is table)
        source = next(chain(inputs, results), "")
        hint = "other tasks may read the same table, so let the tool work on a copy (.copy())"
        session.log.emit(Warned, id_, f"{who}{f' ({source})' if source else ''}: {change}; {hint}")

    session.runners = watch_tables(session.runners, tell)


def _rated(settings: Settings) -> Mapping[str, str]:
    """Return the tools whose calls count against a provider's limits per minute, with their providers.

    A tool that asks a model counts when it asks, which may be twice or never.
    """
    counted = {name for name, limit in settings.limits.items() if limit.rpm or limit.tpm}
    tools = [tool for tool in settings.tools.values() if not isinstance(tool, LanguageTool)]
    return {tool.name: tool.provider for tool in tools if tool.provider in counted}
