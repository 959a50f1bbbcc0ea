"""A run that is to be run again: from a line of the user's, or from a task in a view."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any

from compiler_nb.errors import CompilerError
from compiler_nb.models.cassette import Recorder
from compiler_nb.notebook.compilers import compiler_for
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.job import Question, RunJob
from compiler_nb.notebook.live.view import RERUN, View
from compiler_nb.notebook.models import is_hand, roles_of
from compiler_nb.notebook.options import Line
from compiler_nb.notebook.prompts import all_saved
from compiler_nb.outcome import unstored
from compiler_nb.prompts.data import SHARES
from compiler_nb.run import Run
from compiler_nb.signature.answers import AnswerType


def begin_again(
    desk: Desk,
    old: Run,
    *,
    start: str = "",
    failed: bool = False,
    overrides: Mapping[str, Any] | None = None,
    take: bool = False,
    given: Mapping[str, Any] | None = None,
    answer: str = "",
    view: View | None = None,
) -> RunJob | None:
    """Begin a run that goes on with one that did not finish, or repeats its plan; return what is waited for.

    given, answer: the options, and the name for the answer, as in a cell's line; view: where it is to be shown.
    """
    offer_reruns(desk)
    # what the history could not store is taken from the notebook's variables, if they are still there
    own = {name: value for name, value in old.inputs.items() if unstored(value) is None}
    lost = {name: desk.memory.names.get(name, "rerun") for name in old.inputs if name not in own}
    options = _settings_of(old, desk) | _with_models_of(old, desk, given or {})
    said = Line(options, answer, old.question, kept=desk.memory.kept.get(old.id, ""))
    question = Question(said, old.question, own | lost, f"rerun {said.given.get('out', 'run')}", [])
    compiler = compiler_for(desk, question, old)
    old = compiler.recall(old)
    with desk.memory.binder.nothing_stale(question.cell):
        wanted = _type_again(desk, said.given, old)
        if old.status == "done" or start or failed or overrides:
            order = compiler.order_again(
                old, start, overrides, failed=failed, inputs=lost, take=take, answer_type=wanted
            )
        else:
            order = compiler.order_resumed(old, lost, take=take, answer_type=wanted)
    return RunJob(desk, question, compiler, order, view).begin()


def _type_again(desk: Desk, given: Mapping[str, Any], old: Run) -> AnswerType | None:
    """Return what the answer is to be: as `--as` says, or as in the old run, of which a history keeps the name."""
    text = given.get("answer_type", "")
    if not text and old.order.answer_type is not None:
        return old.order.answer_type
    return desk.memory.names.answer_type(text or old.answer_type)


def _settings_of(old: Run, desk: Desk) -> dict[str, Any]:
    """Return the options of a run that its rerun keeps; of its share and the notebook's, the one that shows less."""
    kept: dict[str, Any] = {
        "share": min(old.settings.share, desk.settings.share, key=SHARES.index),
        "drop_failed": old.settings.drop_failed or desk.settings.drop_failed,
    }
    label = old.settings.variants.get("joiner", "")
    if any(each.label == label for each in all_saved(desk) if each.role == "joiner"):
        kept["joiner_prompt"] = label
    return kept


def _with_models_of(old: Run, desk: Desk, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a rerun; a role for which neither they nor the notebook name a model keeps the old one."""
    if any(name in given for name in ("record", "replay")) or desk.settings.replay:
        return dict(given)
    own = {role: model.model if isinstance(model, Recorder) else model for role, model in old.settings.roles.items()}
    named = roles_of(desk, given)
    return {role: model for role, model in own.items() if named[role] is None and not is_hand(model)} | dict(given)


def offer_reruns(desk: Desk) -> None:
    """Let the details of a task in a view run the plan again from there, as `%compile rerun` does."""
    RERUN[:] = [functools.partial(_rerun_in, desk)]


def _rerun_in(desk: Desk, view: View, start: str) -> None:
    """Begin a rerun when the kernel is idle, and show it in the view; may be called on any thread."""

    def begin() -> None:
        try:
            begin_again(desk, view.run, start=start, given={"background": True}, view=view)
        except CompilerError as error:
            view.refuse(start, str(error))

    if threading.current_thread() is threading.main_thread():
        desk.idle.attach()
    desk.idle.post(begin)
