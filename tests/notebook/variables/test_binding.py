"""Variables: ours while they hold what a run bound, the user's otherwise."""

from __future__ import annotations

from compiler_nb import Cancelled, Failure, Plan, Skipped
from compiler_nb.notebook.variables.binding import Binder, Binding, variables
from compiler_nb.outcome import NotStored


def test_results_are_bound_and_bound_again():
    """The same cell run twice leaves the same names with the new values."""
    values: dict[str, object] = {}
    binder = Binder(values)
    assert binder.bind("c", {"a": [1], "run": "r"}) == Binding(("a", "run"))
    assert binder.bind("c", {"a": [2], "run": "s"}) == Binding(("a", "run"))
    assert values == {"a": [2], "run": "s"}


def test_the_users_own_is_left_alone():
    """A name that holds anything of the user's stays, and is told; also if it was ours before."""
    values: dict[str, object] = {"a": "mine"}
    binder = Binder(values)
    assert binder.bind("c", {"a": 1, "b": [2]}) == Binding(("b",), (("a", "yours"),))
    values["b"] = "now mine"
    assert binder.bind("c", {"b": [3]}).kept == (("b", "yours"),)
    assert values == {"a": "mine", "b": "now mine"}


def test_a_stale_name_is_deleted():
    """What the cell bound before and does not bind now is gone, unless it is the user's by now."""
    values: dict[str, object] = {}
    binder = Binder(values)
    binder.bind("c", {"a": [1], "b": [2], "d": [3]})
    values["b"] = "mine"
    assert binder.bind("c", {"d": [4]}, [("a", "failed: x")]) == Binding(("d",), (("a", "failed: x"),), ("a",))
    assert values == {"b": "mine", "d": [4]}


def test_cells_do_not_delete_each_others_names():
    """Another cell's results stay; taken over by a second cell, the first no longer deletes them."""
    values: dict[str, object] = {}
    binder = Binder(values)
    binder.bind("one", {"a": [1]})
    binder.bind("two", {"b": [2]})
    assert binder.bind("two", {}).deleted == ("b",)
    assert values == {"a": [1]}


def test_builtins_and_ipythons_names_are_never_bound():
    """`max`, `In` and `get_ipython` stay what they are."""
    values: dict[str, object] = {"In": []}
    kept = Binder(values).bind("c", {"max": 1, "In": 2, "get_ipython": 3}).kept
    assert [name for name, _ in kept] == ["max", "In", "get_ipython"]
    assert values == {"In": []}


def test_deleted_and_replaced_objects_are_let_go():
    """Nothing is held of what the notebook no longer holds."""
    values: dict[str, object] = {}
    binder = Binder(values)
    binder.bind("c", {"a": [1], "b": [2]})
    del values["a"]
    values["b"] = 0
    binder.bind("d", {})
    assert not binder._ours


def test_more_is_bound_beside():
    """A background run is bound at once, and deletes nothing before it has ended."""
    values: dict[str, object] = {}
    binder = Binder(values)
    binder.bind("c", {"a": [1], "run": "r"})
    binder.bind_more("c", {"run": "s"})
    assert values == {"a": [1], "run": "s"}
    assert binder.bind("c", {"run": "s"}).deleted == ("a",)


def test_variables_of_a_plan():
    """Done tasks have a value, others a reason; a failed fan-out has what there is; generated ids have no variable."""
    plan = Plan.parse("a = f(1)\nb = f(g(2))\nrows = [f(x) for x in [1]]\nc = f(3)\nf(4)\nd = f(a)")
    part = [Failure("raised", "no")]
    outcomes = {
        "a": 1,
        "b.1": 5,
        "b": Skipped("a", "404"),
        "rows": Failure("items", "1 of 1 items failed", partial=part),
        "c": Failure("raised", "ValueError: x"),
        "@5": 9,
        "d": Cancelled(),
    }
    wanted, without = variables(plan.tasks, outcomes, "p_")
    assert wanted == {"p_a": 1, "p_rows": part}
    assert without == [("p_b", "skipped: a failed"), ("p_c", "failed: ValueError: x"), ("p_d", "cancelled")]


def test_what_was_not_stored_is_not_bound():
    """Its note is no value; the reason says how to have one."""
    plan = Plan.parse("a = f(1)")
    told = "not stored; `%compile rerun --start a` computes it again"
    assert variables(plan.tasks, {"a": NotStored("Model", "it is not plain data")}) == ({}, [("a", told)])


def test_numbers_become_t_names():
    """A numbered plan's results are t1, t2."""
    plan = Plan.parse("1. f(1)\n2. join()<END_OF_PLAN>", dialect="numbered")
    assert variables(plan.tasks, {"1": "x"})[0] == {"t1": "x"}
