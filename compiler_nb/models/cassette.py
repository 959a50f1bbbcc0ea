"""Cassettes: model traffic that is recorded once, and answers from then on without a network and without a key."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from os import PathLike
from pathlib import Path
from typing import Any, Final

from compiler_nb.errors import ModelError, ModelTimeout, NotRecorded
from compiler_nb.models.base import ASKED_IN, Chunk, Model, Request
from compiler_nb.models.nearest import first_difference
from compiler_nb.models.providers import known_secrets
from compiler_nb.models.secret import Secret, mask
from compiler_nb.models.tape import ABOUT, Recorded, Take, append, key_of, prepare, read
from compiler_nb.text import describe_error

LOG: Final = logging.getLogger("compiler_nb")


class Cassette:
    """A Model that plays what was recorded: it answers each request as the recorded models did, and asks nobody.

    path: a file that `Cassette.record` or `%%compile --record` has written; timings: whether pieces of replies come
    when they came then. Defaults to at once.

    A request is known by its role and its messages, whatever the order in which requests come. Of equal requests the
    k-th gets the k-th reply, that of its own task if there is one, and the last again if there are no more. An error
    that was recorded is raised. A request that is not recorded is a NotRecorded, which names the first difference to
    the nearest one. In a role it has the name and the provider of the model that was recorded there. Planners that are
    recorded or played are told nothing of earlier runs, so that their requests do not depend on these.
    Raises HistoryError that names the line if the file is not a sound cassette.
    """

    def __init__(self, path: str | PathLike[str], *, timings: bool = False) -> None:
        self.path, self.timings = Path(path).expanduser(), timings
        self.recorded: tuple[Recorded, ...] = tuple(read(self.path))
        self.calls: list[Request] = []
        self._places: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for place, each in enumerate(self.recorded):
            self._places[each.key].append(place)
        self._used: set[int] = set()
        vars(self).update(self._facts("planner"))

    name: str
    provider: str
    learn_shapes = False

    @staticmethod
    def record(path: str | PathLike[str], model: Model) -> Recorder:
        """Return a model that does what `model` does, and adds each of its calls to a cassette.

        path: the file, which is made, for you alone, if there is none. Models of several roles may be recorded in one
        file. Keys are masked, headers are never seen. Raises HistoryError if the file is something else, or cannot be
        written; ValueError if `model` is not a Model.
        """
        if isinstance(model, type) or not isinstance(model, Model):
            made = "such as connect('openai:gpt-5-mini')"
            raise ValueError(f"what is recorded must be a Model, {made}, not {model!r}")  # noqa: TRY004 - as all settings
        return Recorder(path, model)

    @property
    def unused(self) -> tuple[Recorded, ...]:
        """The recorded calls that nobody has asked for yet."""
        return tuple(each for place, each in enumerate(self.recorded) if place not in self._used)

    def reset(self) -> None:
        """Start from the beginning, as if nothing had been asked."""
        self.calls.clear()
        self._used.clear()

    def for_role(self, role: str) -> Model:
        """Return the model that answers in a role: "planner", "joiner" or "worker"."""
        return _Part(self, self._facts(role))

    def _facts(self, role: str) -> dict[str, Any]:
        """Return what is to be said of the model of a role; if that was never asked, of the first that was."""
        in_role = (each for each in self.recorded if ASKED_IN.get(each.role, each.role) == role)
        found = next(in_role, next(iter(self.recorded), None))
        if found is None:
            return {"name": "cassette", "provider": "cassette", "about": self._about, **ABOUT, **self._pace}
        about = {name: found.about[name] for name in ABOUT} | {"parameters": found.about["limits"]}
        return {"name": found.model, "provider": found.provider, "about": self._about, **about, **self._pace}

    @property
    def _about(self) -> str:
        return f"played from {self.path}, no key needed"

    @property
    def _pace(self) -> Mapping[str, float]:
        return {} if self.timings else {"backoff": 0.0}

    async def stream(self, request: Request) -> AsyncIterator[Chunk | str]:
        """Yield the reply that was recorded for the request; raise the error that was recorded, or NotRecorded."""
        self.calls.append(request)
        found = self._find(request)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(0)
        for at, piece in found.reply:
            if self.timings:
                await asyncio.sleep(began + at - loop.time())
            yield piece.text if found.plain else piece
        if self.timings:
            await asyncio.sleep(began + found.seconds - loop.time())
        if fault := self._fault(found, request):
            raise fault

    def _find(self, request: Request) -> Recorded:
        """Return what is played for a request, and note that it is used."""
        places = self._places.get(key_of(request.role, request.messages))
        if not places:
            raise self._unknown(request)
        unused = [place for place in places if place not in self._used]
        own = [place for place in places if self.recorded[place].task == request.task]
        place = next((each for each in unused if each in own), None)
        if place is None:
            place = unused[0] if unused else (own or places)[-1]
        self._used.add(place)
        return self.recorded[place]

    def _fault(self, found: Recorded, request: Request) -> ModelError | None:
        """Return the error that a call ended with, None if it has none.

        One that came before any text is final if no further try was recorded: otherwise a call would be tried again
        forever. After a text another request may follow, such as one for the rest of a plan.
        """
        if found.fault is not None:
            error = found.fault.error(found.provider, found.model)
        elif found.stopped:
            error = ModelTimeout(_silence(found), provider=found.provider, model=found.model)
        else:
            return None
        if not any(piece.text for _, piece in found.reply):
            error.retryable &= any(place not in self._used for place in self._places[found.key])
        if not self.timings and error.retry_after is not None:
            error.retry_after = 0.0
        return error

    def _unknown(self, request: Request) -> NotRecorded:
        by_role: dict[str, list[Any]] = {}
        for each in self.recorded:
            by_role.setdefault(each.role, []).append(each.messages)
        differs = mask(first_difference(request, by_role), known_secrets())
        hint = f"to record it: %%compile --record {self.path}, or Cassette.record({str(self.path)!r}, model)"
        message = f"the cassette {self.path} has no such request of the {request.role}: {differs}; {hint}"
        return NotRecorded(message, provider=self.provider, model=self.name)

    def __repr__(self) -> str:
        return f"Cassette({str(self.path)!r}, calls={len(self.recorded)})"


def _silence(found: Recorded) -> str:
    """Return what is said of a call that was stopped, usually because nothing more came."""
    who, spoken = f"{found.provider}:{found.model}", [at for at, piece in found.reply if piece.text]
    silent = round(found.seconds - max(spoken, default=0.0), 1)
    if silent < 1:
        return f"{who} was stopped by its caller while it was recorded"
    if spoken:
        return f"{who} said nothing more for {silent:g} s"
    return f"{who} said nothing for {silent:g} s; is it down or overloaded?"


class _Part:
    """A cassette in one role: it has the names of the model that was recorded there."""

    name: str
    provider: str
    learn_shapes = False

    def __init__(self, cassette: Cassette, facts: Mapping[str, Any]) -> None:
        self._cassette = cassette
        vars(self).update(facts)

    def stream(self, request: Request) -> AsyncIterator[Chunk | str]:
        """Do what the cassette does."""
        return self._cassette.stream(request)

    def __repr__(self) -> str:
        return repr(self._cassette)


class Recorder:
    """A model that does what another does, and records it; see `Cassette.record`.

    model: the other one, whose attributes it has, too.
    """

    learn_shapes = False

    def __init__(self, path: str | PathLike[str], model: Model) -> None:
        self.path, self.model = Path(path).expanduser(), model
        self.name, self.provider = model.name, model.provider
        self._hidden: tuple[Secret, ...] = ()
        prepare(self.path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "model" not in vars(self):
            raise AttributeError(name)
        return getattr(self.model, name)

    def hide_keys(self, secrets: tuple[Secret, ...]) -> None:
        """Mask these keys in what is recorded from now on, besides the model's own and those set for providers."""
        self._hidden = secrets

    async def stream(self, request: Request) -> AsyncIterator[Chunk | str]:
        """Yield what the model yields; when the call has ended, however it did, it is added to the file."""
        loop = asyncio.get_running_loop()
        secrets = (*known_secrets((self.model,)), *self._hidden)
        take, began, error, stopped = Take(request, self.model, secrets), loop.time(), None, True
        try:
            async with aclosing(self.model.stream(request)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    take.add(loop.time() - began, piece)
                    yield piece
                    del piece  # a traceback shows local variables, and a provider may have repeated the key
            stopped = False
        except Exception as raised:
            error, stopped = raised, False
            raise
        finally:
            lost = self._write(take.line(loop.time() - began, error, stopped=stopped))
            error = None
        if lost:
            yield Chunk(notice=lost)

    def _write(self, line: str) -> str:
        """Add a call to the file; return why that cannot be done, "" if it is done."""
        try:
            append(self.path, line)
        except OSError as error:
            lost = f"this call is not recorded: {self.path} cannot be written: {describe_error(error)}"
            LOG.warning("%s", lost)
            return lost
        return ""

    def __repr__(self) -> str:
        return f"Cassette.record({str(self.path)!r}, {self.model!r})"
