"""The README tells the truth: its Python blocks run, and its options are those of the magics."""

from __future__ import annotations

import re
from pathlib import Path

from compiler_nb.models.providers import PROVIDERS
from compiler_nb.notebook.options import BY_FLAG, listed
from compiler_nb.plan.plan import Plan

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_its_plan_is_a_plan_and_the_other_blocks_run(capsys) -> None:
    """Every Python block does what it says; the first one is the planner's, and parses."""
    assert len(BLOCKS) >= 4
    assert len(Plan.parse(BLOCKS[0]).tasks) == 6
    space: dict[str, object] = {}
    for block in BLOCKS[1:]:
        code = block if "from compiler_nb" in block else f"from compiler_nb import tool\n{block}"
        exec(compile(code, "README.md", "exec"), space)  # noqa: S102 - the README is ours
    assert "no tool is called 'serch'" in capsys.readouterr().out


def test_its_options_are_those_there_are() -> None:
    """The table names every option that the help lists, and no other."""
    table = README[README.index("## Options") : README.index("## The rooms")]
    named = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", table)) - {"--key", "--check"}
    assert {flag for flag in named if flag not in BY_FLAG} == set()
    assert [option.flags for option in listed() if not named & set(option.flags)] == []


def test_its_providers_are_those_there_are() -> None:
    """The table of models names every provider and the variable of its key."""
    for provider in PROVIDERS.values():
        assert f'"{provider.name}:' in README
        assert provider.key_variables[0] in README or not provider.needs_key


def test_its_picture_and_links_are_there() -> None:
    """Files that it shows or names exist."""
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / name).is_file(), name
