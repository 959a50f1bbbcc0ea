"""README and docs tell the truth: links lead somewhere, and tables list what there is."""

from __future__ import annotations

import re

import pytest

from compiler_nb.models.providers import PROVIDERS
from compiler_nb.notebook.options import BY_FLAG, listed
from compiler_nb.notebook.verbs.table import VERBS
from compiler_nb.plan.plan import Plan
from tests.support.pages import KINDS, PAGES, ROOT, blocks_of

README = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOK = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
MODELS = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
LONGEST = 200


def test_the_readme_is_short_and_names_every_page():
    """What is long has a page of its own, and the README leads there."""
    assert README.count("\n") <= LONGEST
    assert [path.name for path in PAGES[1:] if f"](docs/{path.name})" not in README] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_are_of_a_known_kind_and_plans_are_plans(path):
    """A misspelt word behind a fence would be a block that nothing tries."""
    blocks = blocks_of(path)
    assert [block for block in blocks if block.kind not in KINDS] == []
    for block in blocks:
        if block.kind == "python plan":
            assert Plan.parse(block.text).tasks, block


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pictures_and_links_are_there(path):
    """Files and headings that a page shows or names exist."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        found = path.parent / name if name else path
        assert found.is_file(), name
        headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
        assert not heading or heading in anchors, (name, heading)


def test_its_options_are_those_there_are():
    """The table names every option that the help lists, and no other."""
    table = NOTEBOOK.partition("## Options")[2].partition("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", table))
    assert {flag for flag in named if flag not in BY_FLAG} == set()
    assert [option.flags for option in listed() if not named & set(option.flags)] == []


def test_its_verbs_are_those_there_are():
    """The page names every verb of `%compile`, with its options."""
    assert [name for name in VERBS if f"`%compile {name}" not in NOTEBOOK] == []
    assert [flag for verb in VERBS.values() for flag in verb.flags if flag not in NOTEBOOK] == []


def test_its_providers_are_those_there_are():
    """The table of models names every provider and the variable of its key."""
    for provider in PROVIDERS.values():
        assert f'"{provider.name}:' in MODELS
        assert not provider.needs_key or provider.key_variables[0] in MODELS
