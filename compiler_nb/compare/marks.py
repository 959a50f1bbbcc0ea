"""Marks: what a cell of a grid is known by, so that the same one is not run twice: a hash of all that decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Final

from compiler_nb.compare.cases import Case
from compiler_nb.models.base import Model
from compiler_nb.prompts import SLOTS, load_worded
from compiler_nb.settings.settings import Settings
from compiler_nb.signature.answers import AnswerType
from compiler_nb.text import type_name
from compiler_nb.values.code import content_hash
from compiler_nb.values.functions import function_hash, hash_tools

APART: Final = frozenset({"history", "limits", "variants"})
"""Settings that decide nothing of what a run finds: where it is kept, how fast it may ask, names of prompts."""
_OF_A_MODEL: Final = ("provider", "name", "address", "api", "file", "parameters", "dialect", "prompts", "replies")
"""What is known of a model: what it is, what its requests say, and what it is to reply."""


def mark_of(settings: Settings, wanted: AnswerType | None = None) -> str:
    """Return the hash of settings by their content: models, prompts, tools with their code, and all the others.

    wanted: what answers are to be, which is known by its name and its fields.
    """
    parts = {field.name: getattr(settings, field.name) for field in fields(settings) if field.name not in APART}
    parts["tools"] = [hash_tools(settings.tools), settings.tools.description]
    parts["wording"] = [load_worded(role, settings.wording(role)).hash for role in SLOTS]
    if wanted is not None:
        parts["answer_type"] = [wanted.name, wanted.schema]
    return _hash(parts)


def key_of(mark: str, case: Case, repetition: int) -> str:
    """Return what a cell is known by; "" if an input has no content that could be compared: such a cell is not kept."""
    inputs = {name: content_hash(value) for name, value in case.inputs.items()}
    return "" if None in inputs.values() else _hash([mark, case.question, inputs, repetition])


def grid_mark(marks: Iterable[str], cases: Iterable[Case]) -> str:
    """Return what the runs of a grid are marked with in a history."""
    return _hash([sorted(marks), [case.question for case in cases]])[:8]


def scorer_mark(score: Callable[..., Any], expected: Any) -> str:
    """Return what a score is known by: the scorer's code and what was expected; "" if that cannot be compared."""
    wanted = content_hash(expected)
    function = score if hasattr(score, "__code__") else type(score).__call__
    return "" if wanted is None else _hash([function_hash(function), wanted])


def _hash(parts: Any) -> str:
    text = json.dumps(parts, default=_plain, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    """Return as plain data what JSON cannot say."""
    if isinstance(value, Model):
        known = {name: getattr(value, name) for name in _OF_A_MODEL if hasattr(value, name)}
        if "file" in known:  # a model on this machine: its server has another address in each process
            known |= {"file": str(known["file"].path), "address": ""}
        return [f"{type(value).__module__}.{type(value).__qualname__}", known]
    if isinstance(value, Mapping):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, BaseException):
        return [type_name(value), list(map(str, value.args))]
    return function_hash(value) if callable(value) else [type_name(value), content_hash(value)]
