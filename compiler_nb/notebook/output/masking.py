"""Keys are masked in what is shown: a tool may return or raise one, and pages are saved and shared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from compiler_nb.models.secret import mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.models.secret import Secret
    from compiler_nb.run import Run

T = TypeVar("T")


def without_keys(content: T, run: Run) -> T:
    """Return plain JSON data without any piece of a key in its texts; the same object if there is no key in it."""
    secrets = run.settings.secrets
    if not secrets:
        return content
    text = json.dumps(content, ensure_ascii=False)
    masked: T = content if mask(text, secrets) == text else _masked(content, secrets)
    return masked


def _masked(content: Any, secrets: Iterable[Secret]) -> Any:
    if isinstance(content, str):
        return mask(content, secrets)
    if isinstance(content, dict):
        return {key: _masked(value, secrets) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_masked(value, secrets) for value in content]
    return content
