"""Names that plans write: of tools, their arguments, tasks and offered inputs."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

NAME_LIMIT: Final = 64
"""Most characters of a name."""
_PLAIN: Final = re.compile(r"[^\W\d]\w*")
"""What every dialect reads as one name; Python's own rule takes a few signs more."""


class NameFault(NamedTuple):
    """Why a plan may not write a name: the kind of problem, what is wrong, and the fix."""

    kind: str
    what: str
    fix: str


def fault_of_name(name: str) -> NameFault | None:
    """Return why a plan may not write a name, None if it may. Whether it is a plain word is another question."""
    if name.startswith("_"):
        return NameFault("dunder", f"{name!r} begins with an underscore", "choose a name that begins with a letter")
    if len(name) > NAME_LIMIT:
        what = f"the name {name[:20]}… has {len(name)} characters"
        return NameFault("bad_name", what, f"choose one of at most {NAME_LIMIT}")
    read = unicodedata.normalize("NFKC", name)
    return None if read == name else NameFault("bad_name", f"Python reads {name!r} as {read!r}", "write it that way")


def is_plain(name: str) -> bool:
    """Whether a name is made of letters, digits and underscores only, and does not begin with a digit."""
    return _PLAIN.fullmatch(name) is not None


def is_nameable(name: str) -> bool:
    """Whether plans of every dialect can write a name."""
    return is_plain(name) and fault_of_name(name) is None
