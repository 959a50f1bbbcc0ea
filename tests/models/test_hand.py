import asyncio

import pytest

from compiler_nb.errors import NoModel
from compiler_nb.models.base import Chunk, Model, Request
from compiler_nb.models.hand import HandModel, prompt_text

REQUEST = Request("planner", ({"role": "system", "content": "You plan."}, {"role": "user", "content": "Which?\nNow."}))


def ask(model):
    """Return the chunks of one reply."""

    async def read():
        return [chunk async for chunk in model.stream(REQUEST)]

    return asyncio.run(read())


def test_a_person_replies_through_the_callback():
    """What the person writes is the reply, and it is whole."""
    asked = []

    async def person(request):
        asked.append(request)
        return "join()\n"

    model = HandModel(person)
    assert isinstance(model, Model)
    assert ask(model) == [Chunk("join()\n", "stop")]
    assert asked == [REQUEST]


def test_without_a_notebook_there_is_nobody_to_ask():
    """The error says what `hand` needs."""
    with pytest.raises(NoModel, match=r"`hand` needs a notebook"):
        ask(HandModel())


def test_an_answer_in_another_cell_ends_this_call():
    """A callback that has only shown the prompt gives no reply to wait for."""
    with pytest.raises(NoModel, match="the cell that opened below it"):
        ask(HandModel(lambda _: None))


def test_the_prompt_is_one_readable_text():
    """Every message stands under its role, unchanged."""
    assert prompt_text(REQUEST) == "[system]\nYou plan.\n\n[user]\nWhich?\nNow."
