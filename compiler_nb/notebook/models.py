"""Which model a name means, what a notebook says about it, and what `-m hand` does: a person is the planner."""

from __future__ import annotations

import ast
import getpass
import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final

from compiler_nb.errors import ModelError, NoModel, OptionError
from compiler_nb.models.base import Model, Request
from compiler_nb.models.cassette import Recorder
from compiler_nb.models.connect import connect, describe, no_model
from compiler_nb.models.hand import HandModel, prompt_text
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.providers import HAND, LOCAL, PROVIDERS, set_key
from compiler_nb.models.sensitive import is_key_setting
from compiler_nb.notebook.desk import Desk
from compiler_nb.notebook.output.presenter import display
from compiler_nb.notebook.variables.namespace import Namespace
from compiler_nb.settings.settings import ROLES
from compiler_nb.text import visible_lines

HINT: Final = (
    "Your turn: write the plan in the cell below, or give this prompt to a chat model and paste its reply there. "
    "Then run that cell."
)
YOUR_TURN: Final = (
    "Your turn: this cell has no plan yet.\n"
    "Write it below the first line, one call per line, such as\n"
    '    x = search("Kyoto")\n'
    "    answer(x)\n"
    "or paste what a chat model replied to the prompt. Then run it again.\n"
    "%compile tools lists the tools."
)
_PROMPT: Final = (
    "white-space:pre-wrap;word-break:normal;overflow-wrap:break-word;user-select:all;max-height:32em;overflow:auto;"
    "padding:.6em .9em;border-radius:6px;background:#8792a21a"
)
"""The look of a prompt: it wraps at words, and a click selects all of it."""


def find(spec: Any, names: Namespace, **settings: Any) -> Model | None:
    """Return the model that a setting means: a Model, a notebook variable that holds one, or "provider:model".

    None stays None. Raises OptionError if it means no model.
    """
    if spec is None or spec == "":
        return None
    if not isinstance(spec, str):
        return _checked(spec, type(spec).__name__)
    known = names.visible()
    if spec in known:
        return _checked(known[spec], spec)
    try:
        return connect(spec, **settings)
    except ModelError as error:
        variable = f"no variable is called {spec!r}{_held(names)}, and " if spec.isidentifier() else ""
        raise OptionError(f"{variable}{error}") from None
    except TypeError as error:
        raise OptionError(f"{spec}: {error}") from None


def holding(names: Namespace) -> list[str]:
    """Return the variables that hold a model."""
    # asked of the type first, so that none of a variable's own code runs
    likely = {name: value for name, value in names.visible().items() if hasattr(type(value), "stream")}
    return [name for name, value in likely.items() if not isinstance(value, type) and isinstance(value, Model)]


def _held(names: Namespace) -> str:
    held = ", ".join(holding(names))
    return f" (those that hold a model: {held})" if held else " (after a restart, run the cell that makes it)"


def no_model_for(names: Namespace) -> NoModel:
    """Return the error for a missing model: the variables that hold one, or if there is none all ways to one."""
    held = holding(names)
    if not held:
        return no_model()
    said = f"no model is set, but the notebook holds {'one' if len(held) == 1 else 'some'}: {', '.join(held)}"
    return NoModel(f"{said}. Write %%compile -m {held[0]}, or %compile model {held[0]} for the whole notebook")


def roles_of(desk: Desk, given: Mapping[str, Any]) -> dict[str, Model | None]:
    """Return the model for each role, or None if there is none."""
    own = _connect(desk, desk.setting(given, "model"))
    return {role: _connect(desk, desk.setting(given, role)) or own for role in ROLES}


def _connect(desk: Desk, spec: Any) -> Model | None:
    """Return the model that a setting means; a model connected by its name is kept, with its connections."""
    connected = desk.memory.connected
    if isinstance(spec, str) and spec in connected:
        return connected[spec]
    model = find(spec, desk.memory.names)
    if model is not None and isinstance(spec, str) and (":" in spec or spec == LOCAL):
        connected[spec] = model
    return model


def _checked(value: Any, name: str) -> Model:
    if isinstance(value, type) or not isinstance(value, Model):
        raise OptionError(f"{name} is not a model; make one with connect('openai:gpt-5-mini') or ScriptedModel([...])")
    if isinstance(value, OpenAIModel):
        value.prepare()
    return value


def is_hand(model: Model | None) -> bool:
    """Whether a person is the model, and the notebook asks that person."""
    return isinstance(model, HandModel) and model.ask is None


def about(models: Mapping[str, Model | None]) -> str:
    """Return the models by role, their addresses, and whether a key was found. Raises NoModel if there is none."""
    found = {role: model for role, model in models.items() if model is not None}
    if not found:
        raise no_model()
    lines: dict[str, list[str]] = {}
    for role, named in found.items():
        model = named.model if isinstance(named, Recorder) else named
        facts = describe(model)
        name = facts["name"] if facts["name"] == facts["provider"] else f"{facts['provider']}:{facts['name']}"
        key = f"key: {facts['key_source']}" if facts["key_source"] != "no need" else "no key needed"
        needs = model.hint if isinstance(model, OpenAIModel) and model.api == "chat" else ""
        recorded = f"recorded in {named.path}" if isinstance(named, Recorder) else ""
        more = facts["about"].split("; ") if "about" in facts else []  # a page would cut a long line within a word
        said = () if more else (facts["address"], key, needs)
        line = "\n  ".join(["  ".join(filter(None, (name, *said, recorded))), *more])
        lines.setdefault(line, []).append(role)
    return "\n".join(f"{', '.join(roles)}: {line}" for line, roles in lines.items())


def settings_of(words: list[str]) -> dict[str, Any]:
    """Return settings written as name=value. Raises OptionError for other words, and for a key."""
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"%compile model: {word!r} is not a setting; write settings like temperature=0")
        if is_key_setting(name, value):
            raise OptionError("%compile model: a key in a cell would be saved with the notebook; --key asks for it")
        settings[name] = _literal(value)
    return settings


def _literal(text: str) -> Any:
    for convert in (json.loads, ast.literal_eval):
        try:
            return convert(text)
        except (ValueError, SyntaxError):
            continue
    return text


def ask_key(provider: str) -> None:
    """Ask for a provider's key, hidden, and keep it in this process. Raises OptionError if nobody can be asked."""
    if provider not in PROVIDERS or not PROVIDERS[provider].key_variables:
        raise OptionError(f"{provider} takes no key" + (", a person answers" if provider == HAND else ""))
    try:
        key = getpass.getpass(f"Key for {provider}: ")
    except (NotImplementedError, EOFError, OSError):
        variable = PROVIDERS[provider].key_variables[0]
        raise OptionError(f"nobody can be asked here; set {variable} before the kernel starts") from None
    set_key(provider, key)


# ---------------------------------------------------------------- a person is the planner


def show_prompt(shell: Any, prompts: list[Request], head: str, question: str) -> bool:
    """Show the prompt that a person is given, if any, and open a cell with the options and the question of this one.

    Returns whether there is one.
    """
    if not prompts:
        return False
    prompt = visible_lines(prompt_text(prompts[-1]))
    turn = f"<p>{escape(HINT)}</p>"
    summary = f"<summary>the prompt, {len(prompt):,} characters (click the text to select all of it)</summary>"
    page = f'{turn}<details open>{summary}<pre style="{_PROMPT}">{escape(prompt)}</pre></details>'
    display(
        {"text/plain": f"{prompt}\n\n{HINT}", "text/html": f'<div class="mathjax_ignore tex2jax_ignore">{page}</div>'}
    )
    shell.set_next_input(plan_cell(head, question))
    return True


def plan_cell(head: str, question: str) -> str:
    """Return the cell to open: `%%plan` with the options and, on one line, the question of the first cell."""
    asked = " ".join(question.split())
    mark = "-- " if asked.startswith("-") else ""
    return " ".join(part for part in ("%%plan", head, mark + asked) if part) + "\n"
