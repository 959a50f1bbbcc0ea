"""Replies of models: plans and decisions, and with cache="all" also the replies to tools.

A key is made of all that a request says, of the model and its settings, and of the number of the repetition. A plan
that is kept is text like any other: it is parsed and checked as if a model had written it now.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from compiler_nb.cache.cache import Cache, Stored
from compiler_nb.cache.why import Made, why_asked
from compiler_nb.engine.off_loop import off_loop
from compiler_nb.events import CacheLooked, Log, ModelRecalled
from compiler_nb.models.base import Message, Model
from compiler_nb.models.parts import BLOCK
from compiler_nb.models.recall import Asked
from compiler_nb.models.secret import Secret, mask
from compiler_nb.operations.weights import is_a
from compiler_nb.outcome import Usage
from compiler_nb.text import cut, shorten_value
from compiler_nb.values.coded import digest_of
from compiler_nb.values.digest import content_of
from compiler_nb.values.source import ToolSource

NAMES: Final = {"planner": "plans", "replan": "further plans", "joiner": "decisions", "worker": "replies to tools"}
PLANS: Final = frozenset({"planner", "replan", "joiner"})
"""Roles whose replies are kept with plans."""
_TEXT: Final = 80
_SPELLED: Final = frozenset({"model", "settings", "address", "dialect", "question", "repetition", "grammar"})
"""Parts whose text a miss shows."""
_QUESTION: Final = re.compile(r"^Question: (.*)", re.MULTILINE | re.DOTALL)


class ReplyCache:
    """Remembers the replies in some roles for one run. repetition: replies of another one do not count."""

    def __init__(
        self, cache: Cache, log: Log, roles: Collection[str], *, repetition: int = 0, secrets: tuple[Secret, ...] = ()
    ) -> None:
        self.cache, self.log, self.roles, self.repetition, self.secrets = cache, log, roles, repetition, secrets

    async def recall(self, asked: Asked, call: Callable[[], int], check: Callable[[str], bool]) -> str | None:
        """Return the reply that is kept of an equal request, None if there is none, or it does not pass the check."""
        request, model = asked.request, asked.model
        if request.role not in self.roles or (made := self._made(asked)) is None:
            return None
        entry, why = await off_loop(self._find, made, asked)
        text = entry.data[0].decode() if entry is not None and entry.data else None
        if text is not None and not check(text):
            text, why = None, "what is kept is not a plan here anymore"
        if entry is None or text is None:
            self._tell(asked, hit=False, told=why)
            return None
        self.cache.hit([entry.key])
        who = (request.role, request.task, model.provider, model.name)
        messages = tuple({**each, "content": mask(each["content"], self.secrets)} for each in request.messages)
        address, saved = mask(getattr(model, "address", ""), self.secrets), _usage(entry)
        self._tell(asked, hit=True, told=f"made in {entry.about['run']}, with {saved.tokens:,} tokens")
        self.log.emit(ModelRecalled, call(), *who, messages, request.prompt, address, text, saved)
        return text

    def keep(self, asked: Asked, text: str, usage: Usage) -> None:
        """Keep a reply."""
        if asked.request.role in self.roles and (made := self._made(asked)) is not None:
            seen = {name: _digest(told) for name, told in asked.seen.items()}
            about = made.about(run=self.log.run, seen=seen, usage=list(usage))
            name = NAMES[asked.request.role]
            self.cache.put(Stored(_key(made, name), name, about, (text.encode("utf-8", "replace"),)), self.secrets)

    def _tell(self, asked: Asked, *, hit: bool, told: str) -> None:
        self.log.emit(CacheLooked, asked.request.task, asked.request.role, hit, mask(told, self.secrets))

    def _made(self, asked: Asked) -> Made | None:
        """Return what a reply is made of; None if no reply of this model is kept: a person is asked each time."""
        model = asked.model
        if model.provider == "hand":
            return None
        texts = {**parts_of_model(model), **(asked.parts or parts_of_messages(asked.request.messages))}
        texts["repetition"] = str(self.repetition)
        texts["grammar"] = asked.request.grammar.about if asked.request.grammar is not None else "none"
        shown = {name: repr(cut(text, _TEXT)) if name == "question" else cut(text, _TEXT)
                 for name, text in texts.items() if name in _SPELLED}  # fmt: skip
        return Made({name: _digest(text) for name, text in texts.items()}, shown, asked.request.task)

    def _find(self, made: Made, asked: Asked) -> tuple[Stored | None, str]:
        """Return the entry of an equal request, or why there is none; on a thread."""
        name = NAMES[asked.request.role]
        key = _key(made, name)
        entry = self.cache.find([key]).get(key)
        if entry is None:
            return None, why_asked(asked.request.role, made, self.cache.named(name))
        before = entry.about.get("seen")
        before = before if isinstance(before, dict) else {}
        other = [tool for tool, told in asked.seen.items() if before.get(tool, _digest(told)) != _digest(told)]
        return (entry, "") if not other else (None, ", ".join(f"what `{tool}` returns changed" for tool in other))


def _key(made: Made, name: str) -> str:
    told = "\0".join([name, *(f"{part}\0{digest}" for part, digest in sorted(made.parts.items()))])
    return digest_of(told.encode("utf-8", "surrogatepass"))


def _digest(text: str) -> str:
    return digest_of(text.encode("utf-8", "surrogatepass"))


def _usage(entry: Stored) -> Usage:
    try:
        calls, sent, received, cached, reported, thought, written = entry.about["usage"]
        return Usage(int(calls), int(sent), int(received), int(cached), bool(reported), int(thought), int(written))
    except (KeyError, TypeError, ValueError):
        return Usage()


# -------------------------------------------------------------------- what a reply is made of


def parts_of_messages(messages: tuple[Message, ...]) -> dict[str, str]:
    """Return the texts of a request by name: its prompt, the question, each block of data, and the rest."""
    parts = {"prompt": messages[0]["content"]}
    for message in messages[1:]:
        text = message["content"]
        for block in BLOCK.finditer(text):
            name = f"{'failures' if block[1] in ('failures', 'reasons') else 'result'} {block[1]}"
            parts[name] = parts.get(name, "") + block[0]
        text = BLOCK.sub("", text)
        if found := _QUESTION.search(text):
            parts["question"] = found[1].strip()
        parts["request"] = parts.get("request", "") + f"\0{message['role']}\0{text}"
    return parts


def parts_of_model(model: Model) -> dict[str, str]:
    """Return which model it is: its name, its address, and its settings, which `identity` says if it has one."""
    identity = getattr(model, "identity", None)
    found = identity if identity is not None else _plain(model)
    return {"model": f"{model.provider}:{model.name}", "address": str(getattr(model, "address", "")),
            "settings": found if isinstance(found, str) else _spelled(found)}  # fmt: skip


def _plain(model: Any) -> dict[str, Any]:
    """Return the plain fields of a model of the user's own class."""
    try:
        fields = {name: value for name, value in vars(model).items() if name[:1] != "_"}
    except TypeError:
        fields = {}
    kept = {name: value for name, value in fields.items() if is_a(value, (str, int, float, bool, type(None)))}
    return {"class": type(model), **kept}


def _spelled(found: Any) -> str:
    """Return settings as a text that differs if they do: short ones as they are, others by their digests."""
    if not isinstance(found, Mapping):
        return _one(found)
    return ", ".join(f"{name}={_one(value)}" for name, value in found.items())


def _one(value: Any) -> str:
    if callable(value):
        return ToolSource(value).digest
    if is_a(value, (str, int, float, bool, type(None))):
        return repr(value)
    if is_a(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_one(each)}' for key, each in value.items())}}}"
    if is_a(value, (list, tuple)):
        return f"[{', '.join(map(_one, value))}]"
    if is_a(value, BaseException):
        return f"{type(value).__name__}({value})"
    return content_of(value).text if not content_of(value).loose else shorten_value(type(value).__name__)
