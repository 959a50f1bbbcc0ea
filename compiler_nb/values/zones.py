"""Time zones by name, as a file may give them: none that would lead to a file elsewhere, or to an import."""

from __future__ import annotations

import functools
import re
import zoneinfo
from pathlib import Path
from typing import Any, Final

_OFFSET: Final = re.compile(r"[+-]\d\d:\d\d")
_NAME: Final = re.compile(r"(?!dateutil)[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z][A-Za-z0-9_+-]{0,30}){0,2}")


def is_zone(name: Any) -> bool:
    """Whether a name is an offset, or a zone of this machine's database."""
    if type(name) is not str:
        return False
    return bool(_OFFSET.fullmatch(name)) or (bool(_NAME.fullmatch(name)) and _is_there(name))


@functools.lru_cache(maxsize=1_000)
def _is_there(name: str) -> bool:
    folders = [Path(each) for each in zoneinfo.TZPATH if Path(each).is_dir()]
    if folders and not any((folder / name).is_file() for folder in folders):
        return False
    try:  # where there is no folder, in the package that Python knows of
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # it may be another file of the database
        return False
    return True
