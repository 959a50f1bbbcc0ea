"""Python's own parser, called so that it is silent, and safe beside other threads."""

from __future__ import annotations

import ast
import re
import threading
import warnings
from typing import Final, Literal, overload

_LOCK: Final = threading.Lock()
_TRIES: Final = 20
_MAY_WARN: Final = re.compile(r"\\|\d[a-z]")


@overload
def parse_syntax(text: str, mode: Literal["single"]) -> ast.Interactive: ...
@overload
def parse_syntax(text: str, mode: Literal["eval"]) -> ast.Expression: ...
def parse_syntax(text: str, mode: str) -> ast.AST:
    """Return the syntax tree of a text; nothing is compiled, and no warning gets out.

    Mode "single" is for statements; in mode "exec" CPython would open a file to explain an error.
    Raises what `ast.parse` does: SyntaxError, ValueError, UnicodeEncodeError, RecursionError or MemoryError.
    """
    # CPython counts the depth of all threads that parse at once together, so two of ours would fail each other.
    with _LOCK:
        if not _MAY_WARN.search(text):
            return _parse(text, mode)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parse(text, mode)


def _parse(text: str, mode: str) -> ast.AST:
    for _ in range(_TRIES):
        try:
            return ast.parse(text, mode=mode)
        except SystemError:  # another library's thread parses at the same time: CPython lost count of the depth
            continue
    raise MemoryError("Python's parser is busy in other threads")
