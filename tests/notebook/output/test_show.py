"""One output that reads the same everywhere: its forms, its words, and what is kept out of it."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from html import escape, unescape
from types import SimpleNamespace

import pytest
from nbval.plugin import get_sanitize_patterns

from compiler_nb import Answer, Chunk, Compiler, History, ScriptedModel, Usage, tool
from compiler_nb.__main__ import FILES
from compiler_nb.drawing.preferences import PREFERENCES
from compiler_nb.errors import ToolUnavailable
from compiler_nb.events import ModelWaits
from compiler_nb.models import prices
from compiler_nb.models.openai import OpenAIModel
from compiler_nb.models.secret import Secret
from compiler_nb.notebook.live.view import View
from compiler_nb.notebook.output import values
from compiler_nb.notebook.output.footer import footer_of
from compiler_nb.notebook.output.page import FLAT
from compiler_nb.notebook.output.show import Look, bundle, plan_bundle, still, without_keys
from compiler_nb.notebook.variables.binding import Binding
from compiler_nb.plan.plan import Plan
from compiler_nb.text import seconds_text
from tests.support.desk import begin
from tests.support.held import HeldModel
from tests.support.server import Server
from tests.support.shell import open_shell

COVERS = ("footer.py", "page.py", "plans.py")

OWN = Look(layout="own")
STILL = Look(layout="own", times=False)
EVIL = '</title><script>alert(1)</script><img src=x onerror="x">'


@tool
def weather(city: str) -> dict:
    """Weather of a city."""
    return {"city": city, "max": len(city)}


@tool
def fail(x: object) -> object:
    """Fail."""
    raise ValueError("search failed, 404")


def run_of(plan: str, question: str = "Which is best?", **models):
    """Return the run of a plan that a scripted planner writes."""
    model = ScriptedModel({"planner": plan, **models})
    return Compiler(None, [weather, fail], planner=model, joiner=model if models else None).run_sync(question)


PLAN = """ny = weather("New York")
la = weather("LA")
best = max(ny["max"], la["max"])
answer(f"**{best}** letters")
"""


READ = '1. weather(New York)\n2. weather("$7 and $8 and $9"\n3. join()<END_OF_PLAN>'


def test_a_reader_sees_where_a_plan_was_not_read_as_it_is_written():
    """Below the answer, the first few; also of a plan that is only drawn."""
    notes = [
        "note: line 1: New York has no quotes and was read as text",
        "note: line 2: $7 is text: no line above has this number",
        "note: line 2: $8 is text: no line above has this number", "note: 2 more on the plan's text",
    ]  # fmt: skip
    plan = Plan.parse(READ, dialect="numbered")
    for data in (bundle(Compiler(tools=[weather]).execute_sync(plan), Binding(), STILL), plan_bundle(plan, STILL)):
        assert "\n".join(["", "", *notes]) in data["text/plain"]
        shown = data["text/html"].replace("<span>$</span>", "$").replace("&#x27;", "'")
        assert [line for line in shown.split("\n") if "note:" in line] == [
            f'<p class="cnb-footer">{note}</p>' for note in notes
        ]


def test_notes_on_the_plans_of_several_rounds_name_the_round():
    """A line has a number in each of them."""
    model = ScriptedModel({"planner": "1. weather(Oslo)\n2. join()<END_OF_PLAN>\n",
                           "replan": "2. weather(Rome)\n3. join()<END_OF_PLAN>\n",
                           "joiner": ["Replan: more", "Fine."]})  # fmt: skip
    run = Compiler(model, [weather], dialect="numbered").run_sync("q")
    text = bundle(run, Binding(), STILL)["text/plain"]
    assert "\nnote: round 1, line 1: Oslo has no quotes and was read as text\nnote: round 2, line 1: Rome has" in text


def test_the_plain_text_is_question_table_answer_and_footer():
    """What a page without pictures shows, without times and ids."""
    data = bundle(run_of(PLAN), Binding(("ny", "la", "best", "run")), OWN)
    assert re.sub(r"[\d,]+ tokens", "N tokens", data["text/plain"]) == (
        "Which is best?\n\n"
        '✓ done  ny    weather("New York")        {"city": "New York", "max": 8}\n'
        '✓ done  la    weather("LA")              {"city": "LA", "max": 2}\n'
        '✓ done  best  max(ny["max"], la["max"])  8\n'
        'answer(f"**{best}** letters")\n\n**8** letters\n\n3 tasks · N tokens · bound: ny, la, best, run'
    )


def test_the_page_holds_question_answer_picture_and_footer():
    """Every task's element carries its id and state, its hover text the call and the value."""
    html = bundle(run_of(PLAN), Binding(("ny",)), OWN)["text/html"]
    assert "Which is best?" in html
    assert "<b>8</b> letters" in html
    assert re.findall(r'data-task="(\w+)" data-state="(\w+)"', html) == [
        ("ny", "done"),
        ("la", "done"),
        ("best", "done"),
    ]
    hover = (
        "<title>la · done\nweather(&quot;LA&quot;)\n= {&quot;city&quot;: &quot;LA&quot;, &quot;max&quot;: 2}</title>"
    )
    assert hover in html
    time = r"<span class=\"cnb-time\"> · [\d.]+ m?s</span>"
    footer = rf"<span>3 tasks</span>{time}<span> · \d+ tokens</span><span> · bound: ny</span></summary>"
    assert re.search(footer, html)


def test_an_untrusted_page_sees_the_picture_as_an_image():
    """The inline picture is hidden unless the style sheet lives, the image is there unless it does."""
    data = bundle(run_of(PLAN), Binding(), OWN)
    image = re.search(
        r'<img class="cnb-flat" alt="the plan" src="data:image/svg\+xml;base64,([^"]+)">', data["text/html"]
    )
    assert base64.b64decode(image[1]).decode() == data["image/svg+xml"]
    assert '<div class="cnb-inline" hidden="hidden" style="--cnb-least:' in data["text/html"]


def test_a_large_picture_stands_in_the_page_once():
    """Beside it stands the table, for pages that cannot show it."""
    plan = "\n".join(f'a{n} = weather("{"x" * 100}{n}")' for n in range(96)) + "\njoin()"
    data = bundle(run_of(plan), Binding(), OWN)
    assert len(data["image/svg+xml"]) > FLAT
    assert '<pre class="cnb-flat">✓ done' in data["text/html"]
    assert "<img" not in data["text/html"]


def test_without_times_two_runs_show_the_same_bytes():
    """`live=off` leaves nothing that differs from run to run, in any form."""
    first, second = (bundle(run_of(PLAN), Binding(("ny",)), STILL) for _ in range(2))
    assert first == second
    assert not re.search(r"\d (ms|s)\b", first["text/html"] + first["text/plain"])


@pytest.mark.parametrize(
    ("views", "forms"),
    [
        (("graph",), {"text/plain", "text/html", "image/svg+xml"}),
        (("none",), {"text/plain", "text/html"}),
        (("table",), {"text/plain", "text/html"}),
    ],
)
def test_views_choose_what_is_drawn(views, forms):
    """A table stands in the page as text, none leaves question, answer and footer."""
    data = bundle(run_of(PLAN), Binding(), Look(views, "own"))
    assert set(data) - {"image/png"} == forms
    assert ("<pre>✓ done" in data["text/html"]) == ("table" in views)
    assert ("weather" in data["text/plain"]) == (views != ("none",))


def test_a_failure_is_told():
    """Why there is no answer, which task failed, what was skipped because of it."""
    run = run_of('note = fail(1)\nlater = weather(note)\nok = weather("x")\nanswer(later)')
    left = (("note", "failed: ValueError: search failed, 404"), ("later", "skipped: note failed, x"))
    data = bundle(run, Binding(("ok",), left, ("old",)), OWN)
    assert "<b>failed</b>: the answer cannot be evaluated" in data["text/html"]
    assert "failed: the answer cannot be evaluated" in data["text/plain"]
    assert re.findall(r'data-state="(\w+)"', data["text/html"]) == ["failed", "skipped", "done"]
    assert data["text/plain"].endswith(
        "bound: ok · not bound: note (failed), later (skipped: note failed, x) · deleted: old (stale)"
    )
    assert (
        data["text/html"].split('class="cnb-inline"')[0].count("search failed, 404") == 2
    )  # the message, and its line
    assert ", in fail\n    raise ValueError(&quot;search failed, 404&quot;)</pre>" in data["text/html"]
    quiet = bundle(run, Binding(("ok",), left), OWN, raises=True)
    assert "cnb-error" not in quiet["text/html"].partition("</style>")[2]
    assert "cannot be evaluated" not in quiet["text/plain"]


class Short:
    """A model whose joiner may write two words."""

    name, provider, parameters = "short", "double", {"max_tokens": 2}

    async def stream(self, request):
        """Yield a plan, or the beginning of an answer."""
        if request.role == "planner":
            yield Chunk('ny = weather("NY")\njoin(ny)', "stop")
        else:
            yield Chunk("It is", "length", Usage(1, 90, 2))


def test_an_answer_that_is_cut_off_says_so_below_it(tmp_path):
    """In every form of the output, in the live view, and when the run is read from a history."""
    run = Compiler(Short(), [weather], history=tmp_path / "runs.db").run_sync("How is it?")
    for each in (run, History(tmp_path / "runs.db").load(run.id)):
        told = "the answer is cut off at the reply's limit of 2 tokens; hint: raise max_tokens"
        assert (each.status, each.answer, f"the answer is {each.answer_cut}") == ("done", "It is", told)
        assert each.rounds[0].decision == Answer("It is", each.answer_cut)
        data = bundle(each, Binding(), OWN)
        assert f"\n\nIt is\n\n{told}\n\n" in data["text/plain"]
        assert f'</div>\n<p class="cnb-footer">{escape(told)}</p>' in data["text/html"]
        assert escape(told) in View(each).board.snapshot(1.0)["answer"]["html"]


def test_the_last_line_stays_one_line_and_folds_the_rest():
    """A page counts the names that would not fit, and holds them below; as text it is the whole line."""
    run = run_of("a = weather('x')\nanswer(a)")
    few = bundle(run, Binding(), OWN)
    assert '<p class="cnb-footer">1 task' in few["text/html"]
    names = tuple(f"a_long_name_{number}" for number in range(14))
    many = bundle(run, Binding(names, (("x", "yours"), ("y", "failed: ValueError: too large"))), OWN)
    line = re.search(r'<details class="cnb-footer"><summary>(.*?)</summary>', many["text/html"])[1]
    assert re.sub("<.*?>", "", line).endswith(" · bound: 14 · not bound: 2")
    assert "<p>not bound: x (yours), y (failed: ValueError: too large)</p></details>" in many["text/html"]
    assert "not bound: x (yours), y (failed: ValueError: too large)" in many["text/plain"]


def test_on_a_narrow_page_the_end_of_the_last_line_is_folded():
    """One of middle length is whole in a wide page, where nothing need be opened."""
    data = bundle(run_of("a = weather('x')\nanswer(a)"), Binding(("a_long_name_of_it", "run")), OWN)
    line = re.search(r'<details class="cnb-footer cnb-brief"><summary>(.*?)</summary></details>', data["text/html"])[1]
    assert re.sub("<.*?>", "", line).endswith(" · bound: a_long_name_of_it, run")


def test_words_grow_with_the_scale():
    """As the picture does: for large rooms."""
    run = run_of("a = weather('x')\nanswer(a)")
    assert '<div class="cnb-out mathjax_ignore tex2jax_ignore"><style>' in bundle(run, Binding(), OWN)["text/html"]
    PREFERENCES.scale = 1.5
    assert 'tex2jax_ignore" style="font-size:150%"><style>' in bundle(run, Binding(), OWN)["text/html"]


def test_hostile_text_is_inert_everywhere():
    """Question, arguments, values, errors, reasons and the answer are escaped in the page and in the picture."""
    run = run_of(f"a = weather({EVIL!r})\nb = fail({EVIL!r})\njoin()", EVIL, joiner=f"Answer: {EVIL}")
    data = bundle(run, Binding((), ((EVIL, EVIL),)), Look(("graph", "table"), "own"))
    for form in ("text/html", "image/svg+xml"):
        assert "<script" not in data[form]
        assert "<img src=x" not in data[form]
        assert not re.search(r"<[^>]*\son\w+\s*=", data[form])


def test_the_footer_counts():
    """Rounds, tokens (with ~ where estimated) and at most twelve names."""
    run = run_of(PLAN)
    many = Binding(tuple(f"v{n}" for n in range(20)))
    assert footer_of(run, many, times=False).endswith("v10, v11, … 8 more")
    again = ScriptedModel({"planner": ["a = weather('x')\njoin()", "b = weather(a['city'])\njoin()"],
                           "joiner": ["Replan: more", "Answer: done"]})  # fmt: skip
    second = Compiler(again, [weather]).run_sync("q")
    assert footer_of(second, Binding(), times=False).startswith("2 tasks · 2 rounds · ")

    @tool(timeout=0.01)
    def hang(x: object) -> None:
        """Hang."""
        release.wait(5)

    release = threading.Event()
    hung = Compiler(None, [hang]).execute_sync("a = hang(1)\nb = hang(2)\n")
    release.set()
    assert "2 tasks · 2 calls could not be stopped" in footer_of(hung, Binding(), times=False)
    assert [seconds_text(s) for s in (0.012, 0.34, 1.94, 140.2)] == ["12 ms", "0.3 s", "1.9 s", "140 s"]


def test_what_a_question_cost_stands_below_it_and_at_each_task(monkeypatch):
    """The planner's share first; nothing of dollars if all was free. The same from run to run."""
    plan = 'a = weather("Oslo")\nb = llm("Say it.", a)\njoin(b)\n'
    model = ScriptedModel({"planner": plan, "joiner": "ok", "worker": "some words"}, repeat=True)
    free = Compiler(model, [weather]).run_sync("q")
    assert f" · {free.usage.tokens:,} tokens · bound" in footer_of(free, Binding(("a",)), times=False)
    assert f"{free.costs().tasks['b']}</title>" in bundle(free, Binding(), OWN)["text/html"]
    monkeypatch.setattr(prices, "_OWN", {})
    prices.set_price(model, input=1, output=10)
    runs = [Compiler(model, [weather]).run_sync("q") for _ in range(2)]
    texts = {bundle(run, Binding(), STILL)["text/plain"] for run in runs}
    assert len(texts) == 1
    costs = runs[0].costs()
    assert f" · {costs.total.tokens} · {costs}" in texts.pop()
    html = bundle(runs[0], Binding(), Look(("graph", "timeline", "table"), layout="own"))["text/html"]
    for said in (f"joiner: {costs.roles['joiner']}</title>", costs.tasks["b"].money, str(costs.roles["planner"])):
        assert said in html


def test_a_plan_that_has_not_run_is_drawn():
    """`-N` shows the tasks, waiting."""
    data = plan_bundle(Compiler(ScriptedModel(PLAN), [weather]).plan_sync("q"), OWN)
    assert data["text/plain"].startswith('ny    weather("New York")')
    assert set(re.findall(r'data-state="(\w+)"', data["text/html"])) == {"waiting"}


def test_outcomes_of_items_stand_in_their_cells():
    """A fan-out is one task of the footer; its items carry their own states."""
    run = run_of("rows = {c: weather(c) for c in ['a', 'b']}\nanswer(rows)")
    data = bundle(run, Binding(), OWN)
    assert re.findall(r'data-task="(rows[^"]*)" data-state="(\w+)"', data["image/svg+xml"]) == [
        ("rows", "done"), ("rows[a]", "done"), ("rows[b]", "done"),
    ]  # fmt: skip
    assert "1 task ·" in data["text/plain"]


def test_the_still_picture_says_each_tasks_time_and_tries():
    """As the live one did; the joiner is a node with its time; without times nothing of it is there."""

    @tool(retries=1)
    def shaky(n: int) -> int:
        """Fail once."""
        tries.append(n)
        if len(tries) == 1:
            raise ToolUnavailable("again")
        return n

    tries: list[int] = []
    model = ScriptedModel({"planner": "a = shaky(1)\nb = a + 1\njoin()", "joiner": "Answer: fine"})
    run = Compiler(model, [shaky]).run_sync("q")
    html = bundle(run, Binding(), OWN)["image/svg+xml"]
    times = re.findall(r'<text class="cnb-time[^"]*"[^>]*>([^<]*)</text>', html)
    assert [re.sub(r"[\d.]+ m?s", "T", each) for each in times] == ["2nd try · T", "T"]
    assert ">joiner</text>" in html
    assert "cnb-time" not in bundle(run, Binding(), STILL)["image/svg+xml"].partition("</style>")[2]


def test_the_plans_text_stands_folded_below_its_picture():
    """Each line is one text, with the mark of its task beside it; a plan with several rounds has all of them."""
    html = bundle(run_of(f"# two\n{PLAN}"), Binding(), OWN)["text/html"]
    folded = html[html.index('<details class="cnb-plan">') : html.index("</details>")]
    lines = re.findall(r'<code class="cnb-line([^"]*)">(.*)\n</code>', folded)
    assert lines[0] == ("", "# two")
    assert lines[1] == (" cnb-done", "ny = weather(&quot;New York&quot;)")
    assert "<summary>plan, " in folded
    rounds = ScriptedModel({"planner": "a = fail('$1')\njoin()", "replan": "b = weather('x')\njoin()",
                            "joiner": ["Replan: it failed", "Answer: b"]})  # fmt: skip
    html = bundle(Compiler(rounds, [weather, fail]).run_sync("q"), Binding(), OWN)["text/html"]
    assert '<code class="cnb-line cnb-failed">a = fail(&#x27;$1&#x27;)\n</code>' in html
    assert "<summary>2 plans, 4 lines</summary><p>round 1</p>" in html
    assert "<p>round 2: it failed</p>" in html


def test_a_line_has_the_mark_of_its_box_if_a_branch_of_it_is_not_needed():
    """What a test does not choose was not skipped for a reader: the line is done."""
    run = run_of("a = weather('x')\nx = weather('y') if a else weather('z')\nanswer(x)")
    html = bundle(run, Binding(), OWN)["text/html"]
    assert re.search('<code class="cnb-line cnb-done">x = weather.*if a else.*\n</code>', html)


def test_the_folded_plan_says_under_which_grammar_it_was_written():
    """As the live page and `run.prompt` do; of several rounds each."""
    plans = {"planner": "a = weather('x')\njoin()", "joiner": "fine"}
    run = Compiler(HeldModel(plans), [weather]).run_sync("q")
    html = bundle(run, Binding(), OWN)["text/html"]
    assert "<summary>plan, 2 lines, written under a grammar of 3 tools</summary>" in html
    assert run.prompt("planner").endswith("\n\n[written under a grammar of 3 tools]")
    assert run.prompt("joiner").endswith("\n\n[written under a grammar of a decision]")
    rounds = HeldModel(plans | {"joiner": ["Replan: more", "fine"], "replan": "b = weather('y')\njoin()"})
    html = bundle(Compiler(rounds, [weather]).run_sync("q"), Binding(), OWN)["text/html"]
    for number in ("1", "2: more"):
        assert f"<p>round {number}, written under a grammar of 3 tools</p>" in html
    assert "<summary>2 plans, 4 lines</summary>" in html


@pytest.mark.slow
def test_the_last_line_says_what_the_streaming_saved():
    """And what it would have taken one after the other; nothing of it where it does not differ."""

    @tool
    async def nap(seconds: float) -> float:
        """Sleep."""
        await asyncio.sleep(seconds)
        return seconds

    text = "a = nap(0.3)\nb = nap(0.3)\n# " + "x " * 40 + "\njoin()\n"
    model = ScriptedModel({"planner": text, "joiner": "Answer: fine"}, tokens_per_second=200)
    words = r"2 tasks · 0\.\d s; one after the other (0|1)\.\d s; without streaming 0\.\d s · "
    assert re.match(words, footer_of(Compiler(model, [nap]).run_sync("q"), Binding(), times=True))
    assert "other" not in footer_of(run_of(PLAN), Binding(), times=True)


def test_a_live_view_stands_below_a_still_picture_and_hides_it():
    """One of them is seen: by style alone, so that a notebook without a kernel shows the picture."""
    run = run_of(PLAN)
    html = still(run, OWN)["text/html"]
    begin = f'<div class="cnb-still" data-run="{run.id}"><style>.jp-OutputArea-child:has(.cnb-still):has(+'
    assert html.startswith(begin)
    assert "Plan of 3 tasks" in html


def test_the_error_below_a_picture_is_not_broken_within_words():
    """JupyterLab breaks the lines of errors anywhere; in a cell of ours it need not."""
    html = bundle(run_of(PLAN), Binding(), OWN)["text/html"]
    assert ".jp-OutputArea:has(.cnb-out) [data-mime-type$=stderr] pre{word-break:normal;overflow-wrap:anywhere}" in html


def test_a_timeline_stands_below_the_picture():
    """Inline and as an image; alone it is the picture."""
    html = bundle(run_of(PLAN), Binding(), Look(("graph", "timeline"), "own"))["text/html"]
    assert html.index("Plan of 3 tasks") < html.index("Timeline of 2 tasks: ")
    assert '<img class="cnb-flat" alt="the timeline" src="data:image/svg+xml;base64,' in html
    alone = bundle(run_of(PLAN), Binding(), Look(("timeline",), "own"))
    assert "Timeline of 2 tasks" in alone["image/svg+xml"]
    assert "Plan of" not in alone["text/html"]


def test_a_timeline_is_no_part_of_what_must_stay_the_same():
    """It is in no plain text, and in nothing where times may not be shown."""
    first, second = (bundle(run_of(PLAN), Binding(), STILL._replace(views=("graph", "timeline"))) for _ in range(2))
    assert first == second
    assert "took" not in bundle(run_of(PLAN), Binding(), Look(("timeline",), "own"))["text/plain"]


def without_times(text: str) -> str:
    """Return an output as nbval compares it, by the file that ships."""
    for regex, replacement in get_sanitize_patterns(FILES["nbval"].read_text(encoding="utf-8")):
        text = re.sub(regex, replacement, text)
    return text


@pytest.mark.parametrize("views", [("graph",), ("graph", "timeline", "table")], ids=" ".join)
def test_times_are_marked_so_that_a_comparison_can_leave_out_these_only(views):
    """Two runs differ in nothing else, and one that is shown without times has all the rest."""
    look = Look(views, "own")
    first, second = (bundle(run_of(PLAN), Binding(("ny",)), look) for _ in range(2))
    for kind in ("text/html", "image/svg+xml"):
        assert without_times(first[kind]) == without_times(second[kind])
    rest = bundle(run_of(PLAN), Binding(("ny",)), look._replace(times=False))["text/html"]
    assert "cnb-time" in first["text/html"]
    if views == ("graph",):
        assert without_times(first["text/html"]) == without_times(rest)
    footer = without_times(first["text/html"]).rpartition("<summary>")[2]
    assert re.fullmatch(r"3 tasks · \d+ tokens · bound: ny\n", re.sub("<.*?>", "", footer))


def test_no_time_stands_outside_of_its_mark():
    """Not in the words of a page whose tools took different times, nor anywhere in its pictures."""
    html = bundle(run_of(PLAN), Binding(), Look(("graph", "timeline", "table"), "own"))["text/html"]
    assert re.search(r"\d m?s\b", html)
    assert not re.search(r"\b\d+(\.\d+)? m?s\b", without_times(html))


def test_views_of_a_run_are_shown_again():
    """`%compile show RUN -d timeline`, in any order; other options are refused."""
    with open_shell() as shell:
        shell.planner("a = double(1)\nanswer(a)")
        shell.ok("%%compile -m m -o first\nWhich?")
        for line in ("first -d timeline", "-d timeline first", "-1 --display=timeline", "-d timeline -1"):
            shell.ok(f"%compile show {line}")
            assert "Timeline of 1 task" in shell.shown[-1]["image/svg+xml"]
        shell.ok("%compile show -d graph,timeline,table")
        assert "Timeline of 1 task" in shell.shown[-1]["text/html"]
        assert "%compile show has no option -q; it has -d VIEWS and --display VIEWS" in shell.error("%compile show -q")
        assert "%compile show: -d takes graph, timeline, table or none" in shell.error("%compile show -d times")


def test_data_for_a_page_holds_no_key():
    """Wherever in it a text stands; without a key it is the same object."""
    run = SimpleNamespace(settings=SimpleNamespace(secrets=(Secret("sk-key-0123456789"),)))
    assert without_keys({"a": [1, ("says sk-key-0123456789",)]}, run) == {"a": [1, ["says ***"]]}
    plain = {"a": ["says nothing"]}
    assert without_keys(plain, run) is plain


@pytest.mark.slow
def test_a_run_that_waits_for_its_provider_says_so_wherever_one_looks():
    """Its repr, its footer and its text while it waits; and afterwards how long that was."""

    def note(event, waits):
        if isinstance(event, ModelWaits):
            waits.set()

    async def main():
        seen = {}
        model = OpenAIModel("m", base_url=server.url, api_key="sk-012345")
        waits = asyncio.Event()
        run, work = begin(Compiler(model, [weather], joiner=None), "Where?", on_event=lambda event: note(event, waits))
        working = asyncio.ensure_future(work)
        await waits.wait()
        seen |= {"repr": repr(run), "footer": footer_of(run, Binding(), times=True)}
        seen["plain"] = bundle(run, Binding(), STILL)["text/plain"]
        await working
        return run, seen

    with Server("answer(1)\n", faults=["429=1.5"]) as server:
        run, seen = asyncio.run(main())
    told = r"the planner waits for openai: asked for 1\.5 s"
    assert re.fullmatch(rf"<run running: 0 tasks, {told}, \d\.\d s left>", seen["repr"])
    assert re.search(rf" · {told}, \d\.\d s left", seen["footer"])
    assert seen["plain"].endswith("· the planner waits for openai: asked for 1.5 s")
    assert run.answer == 1
    assert re.search(r" · waited [12]\.\d s for openai", footer_of(run, Binding(), times=True))
    assert "waited" not in footer_of(run, Binding(), times=False)
    assert "waits" not in repr(run)


def test_where_tools_failed_is_folded_below_a_good_answer():
    """The picture stands right below the answer; of a run without one the lines are seen."""
    answered = bundle(run_of('note = fail(1)\nok = weather("x")\njoin(ok)', joiner="It is 1."), Binding(), OWN)
    page = answered["text/html"].partition("</style>")[2]
    before, _, after = page.partition('class="cnb-sides"')
    assert "It is 1." in before
    assert "cnb-error" not in before
    assert '<summary>where tools failed</summary><pre class="cnb-error">note failed in' in after
    failed = bundle(run_of("note = fail(1)\nanswer(note)"), Binding(), OWN)["text/html"]
    assert '<pre class="cnb-error">note failed in' in failed.partition('class="cnb-sides"')[0]
    assert "<summary>where" not in failed


def test_code_may_break_after_operators_where_no_space_is_near():
    """Never within a word or a number; what is copied is the code."""
    line = 'heights = {"Mont Blanc":4_806,"Matterhorn":4478,"Zugspitze":2962,"Eiger":3967}'
    shown = values.inert_code(line)
    assert unescape(shown.replace("<wbr>", "")) == line
    assert not re.search(r"\w<wbr>", shown)
    assert ":<wbr>4_806,<wbr>" in shown
    assert "<wbr>" not in values.inert_code("total = a + b")


def test_a_plan_that_is_not_run_shows_no_key(monkeypatch):
    """As a cell shows it, and as the last line of a cell."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-6f1b9d2c84aa7e35")
    plan = Plan.parse("a = weather('sk-canary-6f1b9d2c84aa7e35')\nanswer(a)")
    shown = [*plan_bundle(plan, OWN).values(), plan._repr_html_()]
    assert ["canary" in each for each in shown] == [False] * 4
