"""Each page for readers is a notebook that runs, and every public name has an example in one of them."""

from __future__ import annotations

import collections.abc
import inspect

import pytest

import compiler_nb
from compiler_nb.compare.grid import Grid
from compiler_nb.diff.run_diff import RunDiff
from compiler_nb.drawing.picture import Picture
from compiler_nb.history.listing import StoredRun
from compiler_nb.notebook.desk import CellSettings
from compiler_nb.notebook.options import listed
from compiler_nb.notebook.verbs.table import VERBS
from tests.support.pages import PAGES, names_of_notebooks, told_by

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]
CLASSES = (
    compiler_nb.Run,
    compiler_nb.Plan,
    compiler_nb.Task,
    compiler_nb.Tool,
    compiler_nb.Toolbox,
    compiler_nb.Compiler,
    compiler_nb.History,
    StoredRun,
    Picture,
    RunDiff,
    Grid,
)
"""What a user holds, and asks by attributes."""
INNER = {
    "Plan": "id_of",
    "Run": "bring_home has_changed id_of progress words",
    "Task": "after awaited column follows guard opaque owner reads since version_of",
    "Tool": "bind fit is_async parameter_of positional regular returns runs_on stateless",
    "Compiler": "begin cells given order order_again order_planned order_resumed prepare recall",
    "History": "begin claim_on close coded facts flush get lineage put refusal remove returned used wait write",
    "Grid": "bar opens table",
    "Picture": "about engine forms masked more png steady steady_png width",
    "RunDiff": "ends of_runs secrets",
}
"""Attributes that other rooms use, and that no user needs."""
FUNCTIONS = (compiler_nb.tool, compiler_nb.Compiler, compiler_nb.Budget, compiler_nb.Limit)
"""What takes options by name, each of which is shown."""
NO_PERSON = {"%compile model --key"}
"""What asks a person for a secret, and so cannot stand in a page that runs."""


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """Give what came of a page; each is run once, in a folder of its own."""
    folders = {path: tmp_path_factory.mktemp(path.stem) for path in PAGES}
    return lambda path: told_by(path, folders[path])


@pytest.fixture(scope="session")
def shown(told):
    """Give the names that the cells of all pages and of the course use."""
    return names_of_notebooks().union(*(told(path).names for path in PAGES))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_runs_as_a_notebook(path, told):
    """Its cells run one after the other in a fresh kernel, and show what the page says."""
    assert not told(path).wrong, "\n\n".join(told(path).wrong)


def test_every_public_name_has_an_example(shown):
    """A user who finds a name in `__all__` finds a cell that uses it."""
    assert [name for name in compiler_nb.__all__ if name not in shown] == []


def test_every_attribute_that_a_user_may_ask_has_an_example(shown):
    """Of runs, plans, tools, compilers, histories and pictures."""
    common = {*dir(collections.abc.Mapping), *dir(tuple)}
    missing = []
    for kind in CLASSES:
        inner = common | set(INNER.get(kind.__name__, "").split())
        names = [name for name in dir(kind) if not name.startswith("_") and name not in inner]
        missing += [f"{kind.__name__}.{name}" for name in names if f"{kind.__name__}.{name}" not in shown]
    assert not missing, ", ".join(missing)


def test_every_option_in_python_has_an_example(shown):
    """The keyword arguments of tools, compilers, budgets and limits."""
    missing = []
    for function in FUNCTIONS:
        signature = inspect.signature(compiler_nb.Tool if function is compiler_nb.tool else function)
        names = [name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY]
        names = names or list(signature.parameters)
        missing += [f"{function.__name__}({name}=)" for name in names if f"{function.__name__}({name})" not in shown]
    assert not missing, ", ".join(missing)


def test_every_magic_option_verb_and_setting_has_an_example(shown):
    """In one spelling at least; what has one choice only is listed nowhere."""
    used = {word.partition(" ")[2] for word in shown if word.startswith("%%")}
    assert [option.flags for option in listed() if not used & set(option.flags)] == []
    verbs = [f"%compile {verb}" for verb in VERBS]
    verbs += [f"%compile {name} {flag}" for name, verb in VERBS.items() for flag in verb.flags if flag != "--display"]
    missing = [verb for verb in verbs if verb not in shown | NO_PERSON]
    assert not missing, ", ".join(missing)
    settings = [f"%config CompileMagics.{name}" for name in CellSettings.class_own_traits(config=True)]
    missing = [name for name in settings if name not in shown]
    assert not missing, ", ".join(missing)
