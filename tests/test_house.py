"""The house stands as the design draws it: layers, rooms, public names, and what no file may hold."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache
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
errors tracebacks outcome text signature operations tool
plan grammar
events models trace
drawing script values engine prompts settings
planner joiner toolbox
run history diff cache
drive orders compare compiler
evals course __main__ notebook
"""
RANK = {room: rank for rank, room in enumerate(LAYERS.split())}
SHOWS = (
    r"(Plan\.(to_graphviz|to_script|visualize|_repr_\w+_)|Run\.(view|visualize|timeline|diff|to_script|save|load|_repr_\w+_)"
    r"|RunDiff\._repr_\w+_|Toolbox\.grammar|Grid\.(bar|_repr_\w+_))"
)
"""The methods that show: each may import a higher room inside itself, and is no part of a circle. A toolbox shows what
plans may say."""

PUBLIC = """
tool Tool Toolbox Plan Task Compiler Run Budget History connect ScriptedModel OpenAIModel Cassette
"""
HEAVY = ("openai", "pydantic", "ipywidgets", "anywidget", "graphviz", "IPython", "pandas")
ONLY_NOTEBOOK = {"IPython", "ipywidgets", "anywidget", "ipykernel", "traitlets", "nest_asyncio", "nest_asyncio2"}
SENDS_CODE = "engine.cluster.parcel"
"""The one file that pickles: calls for a cluster that the user has named. Nothing of it is stored."""
SHORT = 60
"""Characters of a function that may stand twice: to share it would cost more."""
STORES_CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


class Import(NamedTuple):
    """One import: the module that it names, the method or function that it stands in ("" at module level), its line."""

    module: str
    inside: str
    line: int

    @property
    def shows(self) -> bool:
        """Whether it stands in a method that shows."""
        return re.fullmatch(SHOWS, self.inside) is not None


def name_of(module: Path) -> str:
    """Return a module's dotted name within the package: "plan.task", "plan" for a room's own file, "" for the root."""
    return ".".join(part for part in module.parts[1:] if part != "__init__")


def room_of(name: str) -> str:
    """Return the room that a dotted name within the package lies in."""
    return name.split(".", maxsplit=1)[0]


def imports(node: ast.AST, package: str, inside: str = "") -> Iterator[Import]:
    """Yield what a tree imports, of every kind: at once, later, and for its types only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue  # an import is a statement
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, inside, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(target, inside, child.lineno) for target in targets(child, package))
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


@cache
def tree_of(module: Path) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: Path) -> list[Import]:
    """Return every import of a module of the package."""
    return list(imports(tree_of(module), ".".join(module.parent.parts)))


def packages_of(module: Path) -> set[str]:
    """Return the packages that a module of the package imports something from."""
    return {each.module.split(".")[0] for each in imports_of(module)}


def lines_that_name(names: set[str]) -> Iterator[str]:
    """Yield the lines of the package whose code reads or sets one of these names, each with its module."""
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if any(name in text for name in names):
            named = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Name) and node.id in names]
            yield from (f"{module}: {text.splitlines()[node.lineno - 1]}" for node in named)


def wrong_imports(name: str, found: list[Import]) -> Iterator[str]:
    """Yield where a module imports from a room that does not come before its own."""
    mine = room_of(name)
    for each in found:
        room = room_of(each.module.removeprefix("compiler_nb").removeprefix("."))
        if not each.module.startswith("compiler_nb") or room == mine or (room in RANK and each.shows):
            continue
        if room not in RANK or RANK[room] > RANK[mine]:
            yield f"{name}:{each.line} imports {each.module!r}"


def test_a_room_imports_only_what_comes_before_it():
    """Lower layers only, and within a layer only what is listed before it, by any kind of import."""
    names = {module: name_of(module) for module in MODULES if name_of(module)}  # the table of contents names every room
    assert {room_of(name) for name in names.values()} <= RANK.keys(), "add the room to LAYERS"
    assert not [wrong for module, name in names.items() for wrong in wrong_imports(name, imports_of(module))]


def test_wrong_imports_are_seen():
    """The test above can fail: for types, inside a function and from unknown rooms; only methods that show may."""
    text = "if TYPE_CHECKING:\n    import compiler_nb.run\ndef f():\n    from compiler_nb.engine import local\n"
    found = list(imports(ast.parse(text + "import compiler_nb.cellar\nfrom compiler_nb import Plan\n"), "compiler_nb"))
    assert [where.split(" imports ")[0] for where in wrong_imports("plan.task", found)] == [
        "plan.task:2",
        "plan.task:4",
        "plan.task:5",
        "plan.task:6",
    ]
    allowed = Import("compiler_nb.drawing.dot", "Plan.to_graphviz", 1)
    assert not list(wrong_imports("plan.plan", [allowed]))
    assert list(wrong_imports("plan.plan", [allowed._replace(inside="Plan.levels")]))


def circles(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """Yield the groups of modules that import each other in a circle."""
    reach = {name: set(reached) for name, reached in graph.items()}
    for middle in graph:
        for name in graph:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    left = {name for name in graph if name in reach[name]}
    while left:
        circle = (
            {name for name in left if name in reach[first] and first in reach[name]} if (first := min(left)) else set()
        )
        yield circle
        left -= circle


def test_no_modules_import_each_other_in_a_circle():
    """Not even for types or inside functions; only what a method that shows imports is apart."""
    graph = {}
    for module in MODULES:
        name = ".".join(part for part in module.parts if part != "__init__")
        graph[name] = {each.module for each in imports_of(module) if not each.shows} - {name}
    graph = {name: {other for other in others if other in graph} for name, others in graph.items()}
    assert [sorted(circle) for circle in circles(graph)] == []


def test_circles_are_seen():
    """The test above can fail."""
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}})) == [{"b", "c"}]


def rooms_in(document: str) -> list[str]:
    """Return the rooms that a table "| room | ..." of a document lists."""
    text = (ROOT / document).read_text(encoding="utf-8").partition("\n| room |")[2].partition("\n\n")[0]
    return [name.removesuffix(".py").rstrip("/") for row in text.split("\n| ")[1:] for name in names_in(row)]


def names_in(row: str) -> list[str]:
    """Return what stands in backticks in the first cell of a table's row."""
    return re.findall(r"`([^`]+)`", row.partition(" |")[0])


def test_the_guide_lists_the_rooms():
    """Each room that there is, and no other, in the order in which they may import each other."""
    rooms = [room for room in RANK if {PACKAGE / room, PACKAGE / f"{room}.py"} & {*PACKAGE.iterdir()}]
    assert rooms_in("CONTRIBUTING.md") == rooms


def named(tree: ast.Module) -> Iterator[str]:
    """Yield the classes and type aliases of a module; an alias need not be annotated."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield ast.unparse(node.target)
        elif isinstance(node, ast.Assign) and re.fullmatch(r"[A-Z][a-z]\w*", ast.unparse(node.targets[0])):
            yield ast.unparse(node.targets[0])


def test_one_name_means_one_thing():
    """No two classes or type aliases of the package share a name, not even private ones."""
    homes = defaultdict(list)
    for module in MODULES:
        for name in named(tree_of(module)):
            homes[name].append(name_of(module))
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def written(tree: ast.Module) -> Iterator[str]:
    """Yield what a module's functions do, without their names and docstrings, and its constants of more than a word."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            yield f"{ast.unparse(node.args)} -> {'; '.join(map(ast.unparse, body))}"
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple | ast.Dict | ast.Set):
            yield f"{ast.unparse(node.target)} = {ast.unparse(node.value)}"


def test_nothing_is_written_twice():
    """No two functions of the package do the same with the same words, and no two files hold the same table."""
    homes = defaultdict(list)
    for module in MODULES:
        for text in written(tree_of(module)):
            if len(text) > SHORT:
                homes[text].append(name_of(module))
    assert {text: found for text, found in homes.items() if len(found) > 1} == {}


def covers(test: Path) -> tuple[str, ...]:
    """Return the file names in the COVERS of a test module: files of its room that it tests besides its own."""
    for node in ast.parse(test.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COVERS":
            return tuple(ast.literal_eval(node.value))
    return ()


@cache
def covered(folder: Path) -> set[str]:
    """Return the file names that the test modules of a folder test, by their own name or their COVERS."""
    tests = sorted((ROOT / "tests" / folder).glob("test_*.py"))
    claimed = {name for test in tests for name in covers(test)}
    assert all((PACKAGE / folder / name).is_file() for name in claimed), (folder, claimed)
    return claimed | {test.name.removeprefix("test_") for test in tests}


def test_each_file_has_a_test_in_the_mirror():
    """Its test lies at the same place in tests/, or a test of the same folder names it in COVERS."""
    paths = [path.relative_to(PACKAGE) for path in MODULES.values() if path.name not in ("__init__.py", "__main__.py")]
    assert not [path for path in paths if path.name not in covered(path.parent)]


def test_only_the_notebook_room_knows_the_notebook():
    """IPython, the widgets and the kernel are named in one room."""
    others = [module for module in MODULES if room_of(name_of(module)) != "notebook"]
    assert not {str(module): found for module in others if (found := packages_of(module) & ONLY_NOTEBOOK)}


def test_nothing_runs_text_or_loads_code():
    """No eval, no exec, no pickle: what a model or a file says is data."""
    assert not list(lines_that_name({"eval", "exec", "__import__"}))
    others = [module for module in MODULES if name_of(module) != SENDS_CODE]
    assert not {str(module): found for module in others if (found := packages_of(module) & STORES_CODE)}


def test_a_print_has_its_reason():
    """The package returns, emits or shows; if it prints, the line says why."""
    prints = list(lines_that_name({"print"}))
    assert prints
    assert not [line for line in prints if "# noqa: T201 - " not in line]


def test_a_module_says_what_it_does():
    """The first line of each module is one sentence."""
    firsts = {str(module): (ast.get_docstring(tree_of(module)) or "").split("\n")[0] for module in MODULES}
    assert not {module: first for module, first in firsts.items() if not re.fullmatch(FIRST, first)}


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


def test_importing_brings_nothing_that_most_runs_do_not_need():
    """Who runs a plan connects to no provider, saves no trace and compares nothing: each is loaded when it is used."""
    seldom = ("models.openai", "models.hand", "trace.chrome", "prompts.changes", "compare.cases", "history")
    names = {f"compiler_nb.{each}" for each in seldom}
    code = f"from compiler_nb import Compiler, tool; import sys; print(*({names!r} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr


def not_in_a_browser() -> set[str]:
    """Return the dependencies that Pyodide cannot have, by the names of their modules."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    marked = [each for each in project["dependencies"] if "sys_platform != 'emscripten'" in each]
    return {re.split(r"[<>=;\s]", each)[0].replace("-", "_") for each in marked}


def test_the_public_names_need_no_thread_and_nothing_that_a_browser_lacks():
    """In Pyodide there is no thread to start, and no kernel with sockets: importing takes neither."""
    refused = not_in_a_browser() | {"zmq", "tornado"}
    assert {"ipykernel", "nest_asyncio"} <= refused
    code = f"""
import sys, threading

class Refuse:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ImportError(f"{{name}} is refused")

def start(thread):
    raise RuntimeError(f"{{thread.name}} is refused")

sys.meta_path.insert(0, Refuse)
threading.Thread.start = start
import compiler_nb
for name in compiler_nb.__all__:
    getattr(compiler_nb, name)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (told.returncode, told.stderr) == (0, "")


def test_extras_are_those_that_code_uses():
    """An extra comes with its code: each package of one is imported somewhere, or serves the tests and the course."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {
        re.split(r"[<>=\[;]", each)[0].replace("-", "_")
        for extra in set(extras) - {"lab", "test"}
        for each in extras[extra]
    }
    imported = {each.module.split(".")[0] for module in MODULES for each in imports_of(module)}
    unused = {each for each in named if not {each, each.partition("_")[0]} & imported}
    assert not unused, f"no code imports {sorted(unused)}: take the extra out"


def project_files() -> list[Path]:
    """Return the files that are or could be committed; without git, or outside a clone, all but what make.py makes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if shutil.which("git") and (ROOT / ".git").exists():
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [ROOT / name for name in told.split("\0") if name and (ROOT / name).is_file()]
    made = {".venv", "build", "dist", "__pycache__", ".compiler_nb"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.relative_to(ROOT).parts)]


FIRST = r"([^\W\d_]|[`%@]).*[.:?]"
INDEX = r"://[^\s/\"'<>]*(?:py" + r"pi|pythonhosted|npm" + r"js|conda|debian|ubuntu)[^\s/\"'<>]*"
MACHINE = r"(?<![\w.}])/(?:wor" + r"k|ro" + r"ot|home/[a-z]+|Us" + r"ers/[A-Za-z]+)/"
FORBIDDEN = re.compile(f"{INDEX}|{MACHINE}")


@pytest.mark.slow
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


@pytest.mark.parametrize("name", [name for name in compiler_nb.__all__ if not name.endswith(("Error", "Model"))])
def test_help_of_a_public_name_says_what_each_of_its_arguments_is(name):
    """`help(Compiler)`: all that may be given to it; a Run is made by a compiler."""
    named = getattr(compiler_nb, name)
    if name == "Run" or (isinstance(named, type) and issubclass(named, Exception)):
        return
    told = inspect.getdoc(named) or ""
    missing = [each for each in inspect.signature(named).parameters if not re.search(rf"\b{each}\b", told)]
    assert not missing, f"help({name}) does not say what {', '.join(missing)} is"
