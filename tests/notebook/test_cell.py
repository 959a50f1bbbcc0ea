"""Cells: comments above a magic, the outermost one's await, and a cell's identity."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from compiler_nb.notebook.cell import drop_comments, identity, rewrite


def shell(*, running=False, autoawait=True):
    """Return a double of a shell."""
    return SimpleNamespace(display_trap=SimpleNamespace(_nested_level=int(running)), autoawait=autoawait)


CALL = "get_ipython().run_cell_magic('compile', '-b', 'What?\\n')\n"


def test_the_outermost_cell_is_awaited():
    """Its call becomes an await of the hidden magic, the line and the body verbatim."""
    body = 'it\'s\n"quoted" {x}\n'
    line = "get_ipython().run_cell_magic('plan', \"-o it's\", {!r})\n".format(body)  # noqa: UP032
    assert rewrite(shell(), [line]) == [f"await get_ipython().run_cell_magic('_plan_awaited', \"-o it's\", {body!r})\n"]


def test_a_rerun_on_the_first_line_is_awaited():
    """So that the page's buttons are heard meanwhile, as in a cell that asks; other verbs and nested ones are not."""
    line = "get_ipython().run_line_magic('compile', \"rerun run --override x='a'\")\n"
    plain = "get_ipython().run_line_magic('compile', 'rerun -1')\n"
    assert rewrite(shell(), [plain, "x = 1\n"]) == [
        "await get_ipython().run_line_magic('_rerun_awaited', 'rerun -1')\n", "x = 1\n",
    ]  # fmt: skip
    assert rewrite(shell(), [line])[0].startswith("await get_ipython().run_line_magic('_rerun_awaited', \"rerun run")
    for where in ({"running": True}, {"autoawait": False}):
        assert rewrite(shell(**where), [plain]) == [plain]
    other = "get_ipython().run_line_magic('compile', 'runs')\n"
    assert rewrite(shell(), [other]) == [other]


@pytest.mark.parametrize("where", [{"running": True}, {"autoawait": False}])
def test_a_nested_cell_blocks(where):
    """So does every cell where autoawait is off."""
    assert rewrite(shell(**where), [CALL]) == [CALL]


def test_an_empty_body_reaches_the_magic():
    """IPython would refuse it with a UsageError."""
    line = "get_ipython().run_cell_magic('compile', '-h', '')\n"
    assert rewrite(shell(running=True), [line]) == [line.replace("''", "'\\n'")]
    assert "_compile_awaited', '-h', '\\n')" in rewrite(shell(), [line])[0]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["x = 1\n"],
        ["get_ipython().run_cell_magic('time', '', 'x')\n"],
        ["x = get_ipython().run_cell_magic('compile', '', 'x')\n"],
        ["get_ipython().run_cell_magic('compile', '', name)\n"],
        [CALL, "print(1)\n"],
        ["get_ipython().run_cell_magic('compile', '', 'x'\n"],
    ],
)
def test_other_code_stays(lines):
    """Only a lone call with three literals is ours."""
    assert rewrite(shell(), lines) == lines


def test_comments_above_our_magics_are_allowed():
    """They and empty lines are dropped; those above other code stay."""
    assert drop_comments(["# a\n", "\n", "%%compile -b\n", "q\n"]) == ["%%compile -b\n", "q\n"]
    assert drop_comments(["# a\n", "%%plan\n"]) == ["%%plan\n"]
    for lines in (
        ["# a\n", "%%time\n"],
        ["# a\n", "x = 1\n"],
        ["# a\n"],
        [],
        ["%%compile\n"],
        ["# a\n", "%%compiler\n"],
    ):
        assert drop_comments(lines) == lines


def kernel(**metadata):
    """Return a double of a shell in a kernel that was told about the cell."""
    return SimpleNamespace(kernel=SimpleNamespace(get_parent=lambda: {"metadata": metadata}))


def test_a_cell_is_known_by_its_id_or_its_text():
    """A front end tells the outermost cell's id; without one, and for nested cells, the text is what is the same."""
    assert identity(kernel(cellId="c1"), outermost=True, text="t") == "cell c1"
    assert identity(kernel(cellId="c1"), outermost=False, text="t") == "text t"
    assert identity(kernel(), outermost=True, text="t") == "text t"
    assert identity(SimpleNamespace(), outermost=True, text="t") == "text t"
    assert identity(SimpleNamespace(kernel=object()), outermost=True, text="t") == "text t"
