"""Figures, fitted models and other objects: what is stored of them, and when they are computed again."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from compiler_nb.compiler import Compiler
from compiler_nb.errors import HistoryError
from compiler_nb.events import Warned
from compiler_nb.history import History, NotStored
from compiler_nb.outcome import StoredFigure
from compiler_nb.tool import tool
from tests.support.desk import run, scripted


class Model:
    """A fitted model: an object that only its own library knows."""

    def __init__(self, factor: int) -> None:
        self.factor = factor


class Lab:
    """Tools of an analyst; `calls` holds what they were asked, `broken` says whether the report fails."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.broken = True

    @property
    def tools(self) -> list[Any]:
        """The tools."""

        @tool
        def fit(n: int) -> dict:
            """Fit a model."""
            self.calls.append(f"fit {n}")
            return {"model": Model(n), "score": 0.9, "rows": pd.DataFrame({"x": [n]})}

        @tool
        def draw(n: int) -> object:
            """Draw a figure."""
            self.calls.append(f"draw {n}")
            figure = Figure(figsize=(2, 1))
            figure.subplots().plot([1, n])
            return figure

        @tool
        def predict(fitted: dict, x: int) -> int:
            """Predict."""
            self.calls.append(f"predict {x}")
            return fitted["model"].factor * x

        @tool
        def report(figure: object, value: int) -> str:
            """Report on a figure."""
            self.calls.append("report")
            if self.broken:
                raise OSError("the printer is out of paper")
            return f"{type(figure).__name__} {value}"

        return [fit, draw, predict, report]


PLAN = """
m = fit(3)
f = draw(5)
p = predict(m, 2)
r = report(f, p)
answer(r)
"""


@pytest.fixture
def history(tmp_path):
    """Return a history."""
    with History(tmp_path / "runs.db") as made:
        yield made


def execute(lab: Lab, history: Any, plan: str = PLAN, **options: Any) -> Any:
    """Return a run of a plan."""
    return Compiler(None, lab.tools, history=history).execute_sync(plan, **options)


def test_the_rest_of_a_dict_is_stored_beside_a_model(history):
    """The place of the model says what stood there; a table beside it comes back."""
    loaded = history.load(execute(Lab(), history).id)
    fitted = loaded["m"]
    assert fitted["model"] == NotStored("Model", "it is not plain data: it is computed again when it is needed")
    assert fitted["score"] == 0.9
    assert fitted["rows"].equals(pd.DataFrame({"x": [3]}))
    assert loaded["p"] == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ([Model(1), 2], "[<not stored: Model>, 2]"),
        ((1, {"a": [Model(1), "x"], 2: Model(2)}), "(1, {'a': [<not stored: Model>, 'x'], 2: <not stored: Model>})"),
        ({"a": [Model(1)], "b": {3}}, "{'a': <not stored: list>, 'b': {3}}"),
        ([Model(1), {"a": Model(2)}], "<not stored: list>"),
        ({"a": {Model(1)}, "b": 1}, "{'a': <not stored: set>, 'b': 1}"),
        ({"big": pd.DataFrame({"x": range(2_000)}), "n": 1}, "{'big': <not stored: DataFrame>, 'n': 1}"),
        ({"big": "x" * 20_000, "n": 1}, "<not stored: dict>"),
        ({"f": pd.DataFrame({"x": [Model(1)]}), "n": 1}, "{'f': <not stored: DataFrame>, 'n': 1}"),
    ],
)  # fmt: skip
def test_only_what_cannot_be_stored_is_missing(tmp_path, value, parts):
    """At any depth; a container of nothing else is one such thing itself, and plain data is there or is not."""

    @tool
    def make() -> Any:
        """Return it."""
        return value

    with History(tmp_path / "runs.db", largest=10_000) as history:
        found = run(Compiler(None, [make], planner=scripted("a = make()\nanswer(1)\n"), history=history))
        got = history.load(found.id)["a"]
    shown = repr(got)
    for reason in reasons(got):
        shown = shown.replace(f", {reason}>", ">")
    assert shown == parts


def reasons(value):
    """Return why parts of a value were not stored."""
    if isinstance(value, NotStored):
        return [value.reason]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [reason for part in parts for reason in reasons(part)]


def test_a_value_that_is_stored_in_part_is_what_it_was_when_its_task_ended(history):
    """A later tool changes the list beside the model: the earlier task's value keeps the first."""

    @tool
    def make() -> Any:
        """Return it."""
        return {"model": Model(1), "notes": ["first"]}

    @tool
    def change(made: Any) -> int:
        """Change it."""
        made["notes"].append("second")
        return 1

    plan = "a = make()\nb = change(a)\nanswer(a)\n"
    found = run(Compiler(None, [make, change], planner=scripted(plan), history=history))
    loaded = history.load(found.id)
    assert (loaded["a"]["notes"], loaded.answer["notes"]) == (["first"], ["first", "second"])


def test_a_resumed_run_computes_again_only_what_it_needs(history):
    """The report needs the figure, which is drawn again; the prediction is stored, so nothing is fitted."""
    lab = Lab()
    old = execute(lab, history)
    assert (old.status, isinstance(old["f"], Figure)) == ("failed", True)
    assert isinstance(history.load(old.id)["f"], StoredFigure)
    lab.calls.clear()
    lab.broken = False
    again = Compiler(None, lab.tools, history=history).resume_sync(old.id)
    assert (again.answer, lab.calls) == ("Figure 6", ["draw 5", "report"])
    assert isinstance(again["m"]["model"], NotStored)


def test_a_rerun_from_a_task_computes_again_what_it_reads(history):
    """With the very object, not with what stands for it."""
    lab = Lab()
    lab.broken = False
    old = execute(lab, history)
    lab.calls.clear()
    again = Compiler(None, lab.tools, history=history).rerun_sync(old.id, start="p")
    assert again.answer == "Figure 6"
    assert sorted(lab.calls) == ["draw 5", "fit 3", "predict 2", "report"]


def test_an_edited_plan_computes_again_only_what_it_needs(history):
    """A model is not fitted again for another figure, but for another prediction, and to be the answer."""
    lab = Lab()
    lab.broken = False
    old = execute(lab, history)
    compiler = Compiler(None, lab.tools, history=history)

    def edited(*change: str) -> Any:
        """Return the run of a plan that is edited, and note its calls."""
        lab.calls.clear()
        return compiler.execute_sync(PLAN.replace(*change), source=history.load(old.id))

    again = edited("draw(5)", "draw(6)")
    assert (again.answer, lab.calls) == ("Figure 6", ["draw 6", "report"])
    assert isinstance(again["m"]["model"], NotStored)
    assert edited("predict(m, 2)", "predict(m, 3)").answer == "Figure 9"
    assert sorted(lab.calls) == ["draw 5", "fit 3", "predict 3", "report"]
    assert isinstance(edited("answer(r)", 'answer(m["model"])').answer, Model)
    assert lab.calls == ["fit 3"]
    assert edited("", "").answer == "Figure 6"
    assert lab.calls == []


def test_of_a_fan_out_the_items_run_again_whose_values_were_not_stored(history):
    """The others keep theirs; none of them gets a note in the place of a model."""
    lab = Lab()

    @tool
    def pick(n: int) -> Any:
        """Return a model for an odd number, else the number."""
        lab.calls.append(f"pick {n}")
        return Model(n) if n % 2 else n

    @tool
    def total(picked: Any) -> int:
        """Sum them up."""
        if lab.broken:
            raise OSError("no")
        return sum(each if isinstance(each, int) else each.factor for each in picked)

    plan, tools = "rows = [pick(n) for n in [1, 2, 3]]\nt = total(rows)\nanswer(t)\n", [pick, total]
    compiler = Compiler(None, tools, history=history)
    old = compiler.execute_sync(plan)
    assert [type(each) for each in history.load(old.id)["rows"]] == [NotStored, int, NotStored]
    lab.calls.clear()
    lab.broken = False
    again = compiler.resume_sync(old.id)
    assert (again.answer, sorted(lab.calls)) == (6, ["pick 1", "pick 3"])


@pytest.mark.parametrize("approved", [False, True])
def test_a_side_effect_whose_value_was_not_stored_is_not_repeated_in_silence(history, approved):
    """It is asked for, and if nobody can be asked it fails and says why; nothing is made twice unasked."""
    lab, made = Lab(), []

    @tool(side_effects=True)
    def publish(n: int) -> dict:
        """Publish a model, and return it."""
        made.append(n)
        return {"model": Model(n), "url": "x"}

    tools = [publish, *lab.tools]
    plan = "m = publish(3)\np = predict(m, 2)\nr = report(m, p)\nanswer(r)\n"
    old = Compiler(None, tools, history=history, approve="auto").execute_sync(plan)
    assert (old.status, made) == ("failed", [3])
    lab.broken = False
    compiler = Compiler(None, tools, history=history, approve="auto" if approved else "ask")
    again = compiler.resume_sync(old.id)
    assert again.status == "failed"
    assert made == [3]
    failure = again.failures["m"]
    assert failure.kind == "denied"
    assert "its value was not stored" in failure.message
    assert any("its value was not stored" in event.message for event in again.events if isinstance(event, Warned))


def test_a_further_plan_cannot_read_what_was_not_stored(history):
    """The planner is told so, and a plan that reads it by name has a problem; calling its tool again works."""
    lab = Lab()
    lab.broken = False

    @tool
    def check(x: int) -> int:
        """Fail the first time."""
        if not lab.calls.count("check"):
            lab.calls.append("check")
            raise OSError("busy")
        return x

    tools = [*lab.tools, check]
    model = scripted("m = fit(3)\np = predict(m, 2)\nc = check(p)\njoin(c)\n", joiner=["Replan: no"])
    old = run(Compiler(model, tools, history=history, max_replans=0))
    assert old.status == "limit"
    replies = ["q = predict(m, 5)\nanswer(q)\n", "m = fit(3)\nq = predict(m, 5)\nanswer(q)\n"]
    model = scripted(replies[0], replan=replies[:1], repair=replies[1:], joiner=["Replan: more"])
    lab.calls = ["check"]
    again = Compiler(model, tools, history=history).resume_sync(old.id)
    assert (again.status, again.answer) == ("done", 15)
    (asked,) = [request for request in model.calls if request.role == "replan"]
    assert "m: its value was not stored: a plan that needs it has to call the tool again" in str(asked.messages)


def test_an_input_that_is_stored_in_part_has_to_be_given(history):
    """It says which, and what is missing of it."""
    lab = Lab()
    plan = "p = predict(fitted, 2)\nr = report(fitted, p)\nanswer(r)\n"
    given = {"fitted": {"model": Model(2), "n": 1}}
    old = execute(lab, history, plan, inputs=given)
    lab.broken = False
    compiler = Compiler(None, lab.tools, history=history)
    with pytest.raises(HistoryError, match=r"a part of the input fitted was not stored .*: give it, inputs="):
        compiler.resume_sync(old.id)
    assert compiler.resume_sync(old.id, inputs=given).answer == "dict 4"


@pytest.mark.slow
def test_many_figures_are_kept_without_a_warning(history):
    """Drawing them takes longer than the end of a run waits for a file that is locked: it sees that it goes on."""
    found = execute(Lab(), history, "f = [draw(n) for n in range(12)]\nanswer(len(f))\n")
    assert not [event for event in found.events if isinstance(event, Warned)]
    assert [type(each) for each in history.load(found.id)["f"]] == [StoredFigure] * 12


def test_a_value_with_a_model_is_not_taken_from_the_cache(history):
    """A pure tool that returns one is called again, and it is said why."""

    @tool(pure=True)
    def fit(n: int) -> Any:
        """Fit."""
        return {"model": Model(n), "score": 1}

    @tool(pure=True)
    def draw(n: int) -> Any:
        """Draw."""
        figure = Figure()
        figure.subplots()
        return figure

    for _ in range(2):
        compiler = Compiler(None, [fit, draw], history=history, cache="pure")
        found = compiler.execute_sync('m = fit(1)\nf = draw(2)\nanswer(m["score"])\n')
        assert isinstance(found["m"]["model"], Model)
        assert isinstance(found["f"], Figure)
    for name in "mf":
        assert f"{name}: not from the cache: its value is not kept: it is not plain data" in found.cached()


@dataclasses.dataclass
class Report:
    """A record that holds a table, or another value."""

    title: str
    rows: Any


@pytest.mark.parametrize("hint", [None, Report])
@pytest.mark.parametrize("rows", [pd.DataFrame({"x": [1]}), Model(1)])
def test_a_record_with_a_table_or_a_model_says_how_it_could_be_stored(history, hint, rows):
    """Not by its type, which cannot describe them: as a dict, and that is so."""

    @tool
    def make():
        """Make a report."""
        return Report("sales", rows)

    @tool
    def unfold(report: object) -> dict:
        """Return its fields."""
        return vars(report)

    make.function.__annotations__["return"] = hint
    tools = [tool(make.function) if hint else make, unfold]
    run = Compiler(None, tools, history=history).execute_sync("a = make()\nb = unfold(a)\nanswer(1)\n")
    again = history.load(run.id, tools=tools)
    assert again["a"].reason.endswith("if its tool returns a dict instead, the rest is stored")
    assert again["b"]["title"] == "sales"


def test_a_plain_record_says_that_its_type_is_to_be_declared(history):
    """And then it is stored."""

    def make():
        """Make a report."""
        return Report("sales", [1])

    run = Compiler(None, [tool(make)], history=history).execute_sync("a = make()\nanswer(1)\n")
    assert history.load(run.id)["a"].reason.endswith("declare the return type of the tool, and it can be stored")
    make.__annotations__["return"] = Report
    declared = tool(make)
    run = Compiler(None, [declared], history=history).execute_sync("a = make()\nanswer(1)\n")
    assert history.load(run.id, tools=[declared])["a"] == Report("sales", [1])
