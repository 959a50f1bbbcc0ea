"""The house stands as the design draws it: layers, rooms, public names, and what no file may hold."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import compiler_nb
from compiler_nb import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "compiler_nb"
MODULES = {path.relative_to(ROOT).with_suffix(""): path for path in sorted(PACKAGE.rglob("*.py"))}

LAYERS = """
errors outcome tool
plan
events background models drawing
budget values engine calls trace prompts
planner joiner toolbox
run history
writing drive compiler
evals course __main__ notebook
"""
RANK = {room: rank for rank, room in enumerate(LAYERS.split())}
UPWARD = {  # (module, method) -> the higher room that it imports when it is called
    ("plan.task", "Plan.to_graphviz"): "drawing",
    ("run", "Run.view"): "notebook",
    ("run", "Run.step"): "notebook",
    ("compiler", "Compiler.compare"): "evals",
}
PUBLIC = """
tool Tool Toolbox Plan Task Compiler Run Budget History connect ScriptedModel OpenAIModel
"""  # Cassette joins them when it is built
HEAVY = ("openai", "pydantic", "ipywidgets", "anywidget", "graphviz", "IPython", "pandas")
ONLY_NOTEBOOK = {"IPython", "ipywidgets", "anywidget", "ipykernel", "traitlets", "nest_asyncio", "nest_asyncio2"}
STORES_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


class Import(NamedTuple):
    """One import: the module that it names, the method or function that it stands in ("" at module level), its line."""

    module: str
    inside: str
    line: int


def name_of(module: Path) -> str:
    """Return a module's dotted name within the package: "plan.task", "plan" for a room's own file, "" for the root."""
    return ".".join(part for part in module.parts[1:] if part != "__init__")


def room_of(name: str) -> str:
    """Return the room that a dotted name within the package lies in."""
    return name.split(".", maxsplit=1)[0]


def imports(node: ast.AST, package: str, inside: str = "") -> Iterator[Import]:
    """Yield what a tree imports when it runs; what stands under TYPE_CHECKING does not run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, inside, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(target, inside, child.lineno) for target in targets(child, package))
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (each for part in child.orelse for each in imports(ast.Module([part], []), package, inside))
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from imports(child, package, f"{inside}.{child.name}".strip("."))
        else:
            yield from imports(child, package, inside)


def targets(node: ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield the modules that a `from ... import ...` names; `from room import file` names the file."""
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join((*above, base)).strip(".")
    for alias in node.names:
        path = Path(*f"{base}.{alias.name}".split("."))
        yield f"{base}.{alias.name}" if path in MODULES or path / "__init__" in MODULES else base


def imports_of(module: Path) -> list[Import]:
    """Return what a module of the package imports when it runs, at once or later."""
    return list(imports(ast.parse(MODULES[module].read_text(encoding="utf-8")), ".".join(module.parent.parts)))


def wrong_imports(name: str, found: list[Import]) -> Iterator[str]:
    """Yield what a module imports from a room that does not stand above its own."""
    for each in found:
        if not each.module.startswith("compiler_nb"):
            continue
        target = each.module.removeprefix("compiler_nb").removeprefix(".")
        room, mine = room_of(target), room_of(name)
        if room not in RANK:
            yield f"{name}:{each.line} imports {each.module!r}, which is no room of the design"
        elif room != mine and RANK[room] > RANK[mine] and UPWARD.get((name, each.inside)) != room:
            yield f"{name}:{each.line} imports {room}, which stands below {mine}"


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_room_imports_only_what_stands_above_it(module):
    """Lower layers only, and within a layer only what the design lists before it."""
    name = name_of(module)
    if not name:
        return  # the table of contents names every room
    assert room_of(name) in RANK, f"{name} is in no room of the design; add its room to LAYERS, with its layer"
    assert not list(wrong_imports(name, imports_of(module)))


def test_wrong_imports_are_seen():
    """The test above can fail: downward imports, in a function too, and unknown rooms are found; typing is free."""
    text = "if TYPE_CHECKING:\n    import compiler_nb.run\ndef f():\n    from compiler_nb.engine import local\n"
    found = list(imports(ast.parse(text + "import compiler_nb.cellar\nfrom compiler_nb import Plan\n"), "compiler_nb"))
    assert [each.split(" imports ")[0] for each in wrong_imports("plan.task", found)] == [
        "plan.task:4",
        "plan.task:5",
        "plan.task:6",
    ]
    allowed = Import("compiler_nb.drawing.dot", "Plan.to_graphviz", 1)
    assert not list(wrong_imports("plan.task", [allowed]))
    assert list(wrong_imports("plan.task", [allowed._replace(inside="Plan.levels")]))


def test_no_cycles_within_a_room():
    """Files of one room import each other at module level without a cycle."""
    graph = {}
    for module in MODULES:
        name = ".".join(part for part in module.parts if part != "__init__")
        own = {each.module for each in imports_of(module) if not each.inside and each.module.startswith("compiler_nb.")}
        graph[name] = own - {name}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_the_notebook_room_knows_the_notebook(module):
    """IPython, the widgets and the kernel are named in one room."""
    if room_of(name_of(module)) == "notebook":
        return
    found = {each.module.split(".")[0] for each in imports_of(module)}
    assert not found & ONLY_NOTEBOOK


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_nothing_runs_text_or_loads_code(module):
    """No eval, no exec, no pickle: what a model or a file says is data."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"eval", "exec", "__import__"}
    assert not {each.module.split(".")[0] for each in imports_of(module)} & STORES_CODE


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_print_has_its_reason(module):
    """The package returns, emits or shows; where it prints, the line says why."""
    text = MODULES[module].read_text(encoding="utf-8")
    lines = text.splitlines()
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    prints = [lines[c.lineno - 1] for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert all("# noqa: T201 - " in line for line in prints), prints


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_says_what_it_does(module):
    """The first line of each module is one sentence."""
    text = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8"))) or ""
    first = text.split("\n")[0]
    assert first[:1].isalpha() or first[:1] in "`%@", first
    assert first.endswith((".", ":", "?")), first


def contents() -> set[str]:
    """Return the public names that the package's first file brings in, lazily or at once."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    top = [*tree.body, *(node for part in tree.body if isinstance(part, ast.If) for node in part.body)]
    nodes = [n for n in top if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("compiler_nb")]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def test_public_names_are_sorted_and_complete():
    """`__all__` is sorted, holds the design's names and every error, and misses nothing that is brought in."""
    names = list(compiler_nb.__all__)
    assert names == sorted(set(names))
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert {*PUBLIC.split(), *tree} - set(names) == set()
    brought = {name for name in contents() if not name.startswith("_") and name != "load_ipython_extension"}
    assert brought - set(names) == set()


def test_every_public_name_can_be_imported():
    """What `__all__` promises is there, and `import *` brings all of it."""
    missing = [name for name in compiler_nb.__all__ if not hasattr(importlib.import_module("compiler_nb"), name)]
    assert not missing


def test_importing_brings_no_heavy_library():
    """A first import is quick: what is large waits until it is needed."""
    code = f"from compiler_nb import Compiler, tool; import sys; print(*(set({HEAVY!r}) & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr


def project_files() -> list[Path]:
    """Return the files that are or could be committed; without git, or outside a clone, all but what make.py makes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if shutil.which("git") and (ROOT / ".git").exists():
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in told.split("\0") if name and (ROOT / name).is_file()]
    made = {".venv", "build", "dist", "__pycache__", ".compiler_nb"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.relative_to(ROOT).parts)]


INDEX = r"://[^\s/\"'<>]*(?:py" + r"pi|pythonhosted|npm" + r"js|conda|debian|ubuntu)[^\s/\"'<>]*"
MACHINE = r"(?<![\w.}])/(?:wor" + r"k|ro" + r"ot|home/[a-z]+|Us" + r"ers/[A-Za-z]+)/"
FORBIDDEN = re.compile(f"{INDEX}|{MACHINE}")


def test_no_file_names_an_index_or_a_machine():
    """What is committed works elsewhere: no package index's host, no path of somebody's machine."""
    found = []
    for path in project_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert not found


def test_forbidden_words_are_seen():
    """The test above can fail."""
    host, folder = "https://py" + "pi.org/simple", "/wor" + "k/main/x"
    assert FORBIDDEN.search(f"x = {host}")
    assert FORBIDDEN.search(f"File {folder}")
    assert not FORBIDDEN.search("http://127.0.0.1:8000/work and build/work/x")


def test_constraints_hold_versions_only():
    """A line of constraints.txt is name==version: no address, no file, no option."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []


def test_everything_runs_by_one_script():
    """CI does what a reader does: make.py test, nothing that is not in the project's own files."""
    commands = [
        line for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines() if line[:1] not in ("#", "")
    ]
    assert commands == ["set -eu", 'cd "$(dirname "$0")/.."', "python3 make.py test"]
