"""The verb `model`: which models answer, their keys, and whether they answer at all."""

from __future__ import annotations

from compiler_nb.engine.background import BACKGROUND
from compiler_nb.models.connect import check
from compiler_nb.notebook import models
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.live import widget
from compiler_nb.notebook.output.presenter import front_end, say


def model(desk: Desk, words: list[str], options: dict[str, str]) -> None:
    """Show the models, or set the model for all roles; ask for its key, or try it."""
    if words:
        name, *settings = words
        found = models.find(name, desk.memory.names, **models.settings_of(settings))
        desk.settings.model = found if settings else name
        desk.memory.connected.pop(name, None)
    roles = models.roles_of(desk, {})
    known = {id(each): each for each in roles.values() if each is not None}.values()
    if front_end(desk, {}) == "page":
        widget.prepare()
    if "--key" in options:
        for provider in dict.fromkeys(each.provider for each in known):
            models.ask_key(provider)
    say(models.about(roles))
    if "--check" in options:
        for each in known:
            say("hand: a person answers" if models.is_hand(each) else BACKGROUND.run(check(each)))
