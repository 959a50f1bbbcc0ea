"""The table of all forms: which types can be stored; nothing else knows one."""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from compiler_nb.values.columns import LIBRARY
from compiler_nb.values.forms import PLAIN, Form, type_module
from compiler_nb.values.records import RECORDS

FORMS: Final[tuple[Form, ...]] = (*PLAIN, *LIBRARY, *RECORDS)
BY_NAME: Final = {form.name: form for form in FORMS}
PICTURE: Final = BY_NAME["picture"]
_BY_TYPE: Final = {id(form.type): form for form in FORMS if isinstance(form.type, type)}
"""By the ids of types; those of libraries join them once they are seen."""


def form_of(value: Any) -> Form | None:
    """Return the form of a value's type, None if it has none. A library is there already if one of its values is."""
    kind, name = type(value), type_module(value).partition(".")[0]
    if id(kind) not in _BY_TYPE and name in ("numpy", "pandas") and name in sys.modules:
        for form in LIBRARY:
            if str(form.type).startswith(f"{name}."):
                _BY_TYPE.update((id(each), form) for each in _classes(sys.modules[name], str(form.type)))
    return _BY_TYPE.get(id(kind))


def _classes(library: Any, path: str) -> set[type[Any]]:
    """Return the classes that a form's path means: for values like pandas.NA, whose class is not public, that class."""
    if path == "numpy.generic":  # each exactly: a subclass would come back as another
        return set(library.sctypeDict.values())
    found = functools.reduce(lambda place, part: getattr(place, part, None), path.split(".")[1:], library)
    return {found if isinstance(found, type) else type(found)} - {type(None)}
