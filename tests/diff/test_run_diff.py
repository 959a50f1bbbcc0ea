"""Two runs compared: as data, in words, and whatever the runs are like."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from compiler_nb import Compiler, History, ScriptedModel, save_prompt, tool
from compiler_nb.models.secret import Secret
from compiler_nb.text import TIMES
from tests.support.desk import Desk, begin, planner_of
from tests.support.differing import BASE, TOOLS, run_plan, two_runs
from tests.support.stored import until

COVERS = ("asked.py", "compared.py", "figures.py", "words.py")

TEXT = """\
base → terse: tasks: 3 changed, 1 added, 1 dropped, 1 affected, 1 renamed; 4 values differ; the answers differ

asked differently
  planner's prompt: 4 lines differ
    + Examples with these tools
    + Question: Where is it warm?
    + a = weather("Rome")
    + answer(a)

tasks
  =  ny → new_york  renamed
  ~  la             city: "Los Angeles" → "LA"; days: (none) → 2
  -  old            weather("Nowhere")
  +  sf             weather("San Francisco")
  ~  rows           …n ["Rome", "Oslo"]} → …n ["Rome", "Bergen", "Wien"]}
  ~  best           argument 3: (none) → sf
  ↓  note           shout(best)

answers
  - It is Los Angeles.
  - It has 11 letters.
  + It is San Francisco.
  + It has 13 letters.

figures
                         base                      terse
  items of fan-outs      2                         3
"""
VALUES = """\
["city"]: "Los Angeles" → "LA"; ["max"]: 12 → 4
raised: LookupError: no such city
{"city": "San Francisco", "max": 14}
[Bergen], [Wien] added, [Oslo] dropped, 1 item the same
"Los Angeles" → "San Francisco"
"LOS ANGELES" → "SAN FRANCISCO"
"""


@pytest.fixture(scope="module")
def found():
    """Give a comparison of two runs that differ in all that it tells of."""
    base, terse = two_runs()
    return base.diff(terse, ("base", "terse"))


def test_a_prompt_engineer_reads_what_a_change_did(found):
    """What was asked differently, what became of each task, the answers, the figures; with the values beside tasks."""
    wanted, text = (re.sub(" {2,}", " ", each) for each in (TEXT, found.text))
    for line, shown in zip(wanted.splitlines(), text.splitlines(), strict=False):
        assert shown.startswith(line)
    assert all(value in found.text for value in VALUES.splitlines())


def test_the_text_is_the_same_for_the_same_runs_and_has_times_only_if_asked(found):
    """No times, no ids: a notebook that is run again shows the same."""
    again = two_runs()
    assert again[0].diff(again[1], ("base", "terse")).text == found.text == str(found)
    assert not re.search(r"\d m?s\b", found.text)
    assert found.before.id not in found.text
    assert re.search(r"time +\d", found.to_text(times=True))
    assert repr(found).startswith("<diff of base and terse: tasks: 3 changed, ")


def test_the_fields_are_data(found):
    """Tasks with what changed and what came of them, items of fan-outs, edges, figures of both."""
    tasks = {task.id: task for task in found.tasks}
    assert [(each.part, each.before, each.after) for each in tasks["la"].changes] == [
        ("city", '"Los Angeles"', '"LA"'),
        ("days", "", "2"),
    ]
    assert tasks["rows"].items == (1, 0, (), ("[Bergen]", "[Wien]"), ("[Oslo]",))
    assert (tasks["old"].states, tasks["sf"].states) == (("failed", None), (None, "done"))
    assert tasks["la"].content.places == ('["city"]: "Los Angeles" → "LA"', '["max"]: 12 → 4')
    assert all(seconds > 0 for seconds in tasks["la"].seconds)
    assert found.figures[0].critical_path == ("ny", "best", "note")
    assert [each.failures for each in found.figures] == [1, 0]
    assert found.answer.kind == "changed"
    assert [each.what for each in found.asked] == ["planner's prompt"]


def test_plans_that_do_the_same_say_so():
    """Only names differ, and the joiner says the same."""
    one, other = run_plan(BASE), run_plan(BASE.replace("ny", "n_y"))
    assert one.diff(run_plan(BASE)).text.startswith("A → B: the plans are the same; the answers are the same")
    told = one.diff(other).text
    assert told.startswith("A → B: the plans do the same (1 renamed, 5 the same); the answers are the same")
    assert "  =  ny → n_y  renamed" in told
    assert "the answer of both\n    Fine." in told


def test_the_same_run_twice_is_an_error():
    """It says which it is, and where others are listed."""
    run = run_plan(BASE)
    with pytest.raises(ValueError, match=rf"A and B are the same run, {run.id}: .* %compile runs lists them"):
        run.diff(run)


def test_a_run_without_a_plan_is_compared_in_the_rest():
    """Its planner wrote none: that is said, and the other's tasks are all added."""
    lost = run_plan("this is no plan", "nor is this")
    found = lost.diff(run_plan(BASE))
    assert "note: A has no plan" in found.text
    assert "note: A failed: " in found.text
    assert "6 added" in found.text
    assert "A has no answer" in found.text
    both = lost.diff(run_plan("no plan", "none"))
    assert both.text.startswith("A → B: no plans to compare; neither has an answer")
    assert "data-task" not in both.visualize().svg
    assert both._repr_html_()


def test_runs_of_different_questions_say_so():
    """Whatever else differs may come from that alone."""
    found = run_plan(BASE, question="Which is longest?").diff(run_plan(BASE, question="Which is best?"))
    assert "note: the questions differ, so plans and answers may differ for that alone" in found.text
    assert "question: Which is longest? → Which is best?" in found.text


def test_a_run_that_goes_on_is_compared_as_far_as_it_is():
    """What has not ended has no value yet, and the picture and the timelines are there."""
    desk = Desk()

    async def compare():
        compiler = planner_of("a = get(1)\nb = wait(2)\njoin(a, b)\n", desk=desk)
        run, work = begin(compiler)
        going = asyncio.ensure_future(work)
        await until(lambda: desk.working and run.state("a") == "done")
        ended = await planner_of("a = get(1)\nb = get(2)\njoin(a, b)\n").run("What?")
        found = run.diff(ended)
        told = found.text, found.timeline().svg, found.visualize().svg
        run.cancel()
        await going
        return told

    text, times, plans = asyncio.run(compare())
    assert "note: A is still running: it is compared as far as it is" in text
    assert "running → done" in text
    assert 'data-task="b"' in times
    assert 'data-task="b"' in plans


def test_rounds_are_aligned_by_number():
    """A second round of one run is added, with the joiner's reason, and its last line."""
    one = run_plan("a = shout('x')\njoin(a)", joiner="Fine.")
    two = run_plan("a = shout('x')\njoin(a)", "b = shout('y')\njoin(b)", joiner=["Replan: more is missing", "Fine."])
    found = one.diff(two)
    assert [(each.id, each.kind, each.plan.rounds) for each in found.tasks] == [
        ("a", "same", (0, 0)),
        ("b", "added", (-1, 1)),
    ]
    assert found.rounds[1].reasons == ("", "more is missing")
    assert "  + round 2: join(b)" in found.text
    assert "Round 2: B: more is missing" in found.visualize().svg


def test_stored_runs_are_compared_like_those_of_this_session(tmp_path):
    """Their values, plans, figures and the names of arguments come from the file: no tool has to be there."""
    history = History(tmp_path / "runs.db")
    base, terse = two_runs(history=history)
    stored = [history.load(run.id) for run in (base, terse)]
    assert stored[0].diff(stored[1]).text == base.diff(terse).text
    assert base.diff(stored[1]).text == base.diff(terse).text


def test_a_value_that_was_not_stored_cannot_be_compared(tmp_path):
    """It is said so, and all else is compared."""

    @tool
    def open_it(name: str) -> object:
        """Return what no history can store."""
        return threading_lock()

    history = History(tmp_path / "runs.db")
    runs = [
        run_plan(f'a = open_it("{name}")\nb = shout("x")\njoin(b)', tools=[*TOOLS, open_it], history=history)
        for name in ("x", "y")
    ]
    stored = [history.load(run.id, [*TOOLS, open_it]) for run in runs]
    found = stored[0].diff(stored[1])
    assert "cannot be compared: a lock was not stored" in found.text
    assert {task.id: task.content.kind for task in found.tasks} == {"a": "unknown", "b": "same"}


def threading_lock() -> object:
    """Return a lock."""
    import threading

    return threading.Lock()


def test_inputs_models_and_tools_that_differ_are_told():
    """All that went in: by name, with short values."""
    model = ScriptedModel({"planner": "a = shout(word)\nanswer(a)"}, repeat=True)
    named = ScriptedModel({"planner": "a = shout(word)\nanswer(a)"}, repeat=True)
    named.name = "other"
    one = Compiler(model, TOOLS).run_sync("What of @word?", inputs={"word": "x"})
    other = Compiler(named, TOOLS[2:], max_replans=1).run_sync("What of @word?", inputs={"word": "y"})
    asked = {each.what: (each.before, each.after) for each in one.diff(other).asked}
    assert asked["input word"] == ('"x"', '"y"')
    assert asked["planner's model"] == ("scripted:scripted", "scripted:other")
    assert asked["max_replans"] == ("2", "1")
    assert asked["tools"] == ("weather, compare", "(no other)")


def test_two_versions_of_a_saved_prompt_are_named():
    """Each run says which it used."""
    runs = []
    for text in ("Be brief.", "Be very brief."):
        label = save_prompt("planner", "terse", text + " {{rules}} {{tools}} {{examples}}").label
        compiler = Compiler(ScriptedModel("answer(1)"), prompts={"planner": "terse"}, learn_shapes=False)
        runs.append((label, compiler.run_sync("?")))
    (first, before), (second, after) = runs
    assert f"planner's prompt, {first} → {second}: 2 lines differ" in before.diff(after).to_text()


def test_no_key_is_in_any_form_of_it(monkeypatch):
    """A tool may return a key, and pages are saved and shared."""
    monkeypatch.setattr("compiler_nb.settings.settings.known_secrets", lambda _: (Secret("sk-secret-1234567890"),))
    one, other = run_plan("a = shout('x')\njoin(a)"), run_plan("a = shout('sk-secret-1234567890')\njoin(a)")
    found = one.diff(other)
    forms = (found.text, found._repr_html_(), found.visualize().svg, found.timeline().svg, repr(found))
    assert not any("sk-secret-1234567890" in form or "SK-SECRET-1234567890" in form for form in forms[:1])
    assert not any("sk-secret-1234567890" in form for form in forms)


@pytest.mark.slow
def test_a_thousand_tasks_are_compared_in_a_second():
    """A thousand calls against a thousand with other arguments: the data, the text and the picture."""
    plans = ["\n".join(f"x{n} = get('{word} {n}')" for n in range(1_000)) + "\njoin()" for word in ("topic", "other")]
    runs = [planner_of(plan).run_sync("What?") for plan in plans]
    began = time.process_time()
    found = runs[0].diff(runs[1])
    text, picture = found.text, found.visualize()
    assert time.process_time() - began < 1
    assert text.startswith("A → B: tasks: 1,000 changed; 1,000 values differ")
    assert len(text.splitlines()) < 70
    assert f"get {TIMES} 1,000" in picture.svg


def test_a_fan_out_is_gathered():
    """Items are compared by their keys, and the first few are named."""
    plan = "rows = {{n: get(n * {}) for n in range({})}}\nanswer(rows)"
    one, other = (planner_of(plan.format(*each)).run_sync("What?") for each in ((1, 40), (2, 50)))
    told = one.diff(other).text
    assert "[1], [2], [3], [4] and 35 more with other values, [40], [41], [42], [43] and 6 more added" in told
    assert "1 item the same" in told
