"""What a planner may know of a value: its type and shape in words, never its contents."""

from __future__ import annotations

from typing import Any, Final

_COLUMNS: Final = 40
_KEYS: Final = 12
_FIELD_LENGTH: Final = 30


def describe_schema(value: Any, depth: int = 2) -> str:
    """Return a value's type and shape in words, never its contents: what a planner may know of it."""
    kind = type(value)
    name = kind.__name__
    try:
        columns, dtypes = getattr(value, "columns", None), getattr(value, "dtypes", None)
        if columns is not None and dtypes is not None and hasattr(value, "iloc"):
            shown = ", ".join(f"{column}: {dtype}" for column, dtype in zip(columns[:_COLUMNS], dtypes, strict=False))
            more = f", … {len(columns) - _COLUMNS} more" if len(columns) > _COLUMNS else ""
            return f"{name} of {len(value):,} rows ({shown}{more})"
        if hasattr(value, "shape") and hasattr(value, "dtype"):
            return f"{name} of shape {tuple(value.shape)}, {value.dtype}"
        if kind in (list, tuple, set, frozenset):
            inner = describe_schema(next(iter(value)), depth - 1) if value and depth else ""
            return f"{name} of {len(value):,}{f' {inner}' if inner else ''}"
        if kind is dict:
            return _describe_dict(value, depth)
    except Exception as error:  # noqa: BLE001 - a user's object may raise anything
        return f"{name} (its shape cannot be read: {type(error).__name__})"  # its message may hold contents
    return name


def _is_field(key: Any) -> bool:
    """Whether a dict's key looks like the name of a field, which is schema, and not like data: `max`, not `AAPL`."""
    return type(key) is str and key.isidentifier() and key.islower() and len(key) <= _FIELD_LENGTH


def _describe_dict(value: dict[Any, Any], depth: int) -> str:
    keys = list(value)[: _KEYS + 1]
    if 0 < len(value) <= _KEYS and all(_is_field(key) for key in keys) and depth:
        inner = ", ".join(f"{key}: {describe_schema(value[key], depth - 1)}" for key in keys)
        return f"dict ({inner})"
    if value and depth:
        key, item = next(iter(value.items()))
        return f"dict of {len(value):,} {type(key).__name__} to {describe_schema(item, depth - 1)}"
    return f"dict of {len(value):,}"
