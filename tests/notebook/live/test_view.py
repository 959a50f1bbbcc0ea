"""The live view's side in the kernel: what it sends and when, what it hears, and what it shows of one task."""

from __future__ import annotations

import asyncio
import json
import time
from html.parser import HTMLParser

import pytest

from compiler_nb import Compiler, ScriptedModel, tool
from compiler_nb.models.base import Chunk
from compiler_nb.notebook.live import view as views
from compiler_nb.notebook.live.details import details
from compiler_nb.notebook.live.view import FRAME, KEPT, View
from tests.support.desk import begin
from tests.support.frames import Page
from tests.support.hostile import OUTPUTS, VALUES
from tests.support.stored import until

COVERS = ("details.py",)


@tool
async def get(x: object) -> object:
    """Return it."""
    return x


@tool
async def nap(x: object, wait: float = 0.02) -> object:
    """Return it later."""
    await asyncio.sleep(wait)
    return x


@tool(side_effects=True)
def send(to: str) -> str:
    """Send."""
    return f"sent to {to}"


class Wire:
    """A widget that keeps what it is given to send."""

    def __init__(self, snapshot) -> None:
        self.snapshot = snapshot
        self.page = Page([snapshot()])
        self.sent: list[dict] = []
        self.said = None

    def send(self, content) -> None:
        """Keep it, as JSON."""
        self.sent.append(json.loads(json.dumps(content)))
        if "frame" in content and (content["frame"].get("reset") or content["frame"]["n"] > self.page.last):
            self.page.apply(content["frame"])

    def on_msg(self, hear) -> None:
        """Keep who listens."""
        self.said = lambda **content: hear(self, content, [])

    def close(self) -> None:
        """Nothing is open."""


def tell_first(made):
    """Return what passes events to the first of a list, which is there when the first one comes."""

    def tell(event):
        made[0].event(event)

    return tell


def watched(plan, tools, **settings):
    """Run a plan with a view that looks on from its beginning; return the view and the run."""

    async def perform():
        waiting = []
        run, work = begin(Compiler(None, tools, **settings), "", plan=plan, on_event=tell_first(waiting))
        waiting.append(View(run, "own", Wire))
        await work
        waiting[0].end("the end")
        return waiting[0], run

    return asyncio.run(perform())


def test_it_follows_a_run_to_its_end():
    """Frames come in their order, the last one with the footer, the times and the whole picture."""
    view, run = watched("a = nap(1)\nb = nap(a)\nc = a + b\nanswer(c)", [nap])
    page = view.widget.page
    assert page.states == {"a": "done", "b": "done", "c": "done"}
    assert (page.facts["status"], page.facts["footer"]) == ("done", "the end")
    assert page.facts["critical"] == [0, 1]
    assert page.facts["times"].split(";")[0].endswith("ms: a → b")
    assert any("<svg" in str(piece) for piece in page.pieces)
    assert run.answer == 2


@pytest.mark.slow
def test_frames_are_at_least_sixty_milliseconds_apart():
    """However much happens; the first one and the last one do not wait."""
    began = time.monotonic()
    view, _ = watched("xs = [nap(x) for x in range(200)]\nanswer(1)", [nap])
    seconds = time.monotonic() - began
    assert len(view.widget.sent) <= seconds / FRAME + 4
    assert len(view.widget.sent) >= 3


@pytest.mark.slow
def test_ten_thousand_tasks_are_shown_as_groups():
    """The picture stays small, the page holds each task's state, and the run gets its answer."""
    lines = [f"a{number} = get({number})\nb{number} = get(a{number})" for number in range(5_000)]
    view, run = watched("\n".join([*lines, "answer(b1)"]), [get])
    assert run.answer == 1
    assert len(view.widget.page.states) == 10_000
    assert set(view.widget.page.states.values()) == {"done"}
    graph = view.board.canvas.all()["graph"]
    assert sum(map(len, graph["groups"])) == 10_000
    assert len(graph["svg"]) < 20_000


def test_what_a_page_says_is_done_or_ignored():
    """Approval by number; numbers of no task, words of no meaning and things of no shape do nothing."""

    async def perform():
        ask = asyncio.Event()

        async def wait_for_ever(*_):
            ask.set()
            return await asyncio.get_running_loop().create_future()

        made = []
        plan = "a = send('ann')\nb = send('bob')\nanswer(a)"
        run, work = begin(Compiler(None, [send]), "", plan=plan, ask=wait_for_ever, on_event=tell_first(made))
        made.append(View(run, "own", Wire))
        task = asyncio.create_task(work)
        await ask.wait()
        say = made[0].widget.said
        for number in (None, True, 1.0, -1, 2, 10**9, "0", [0], {}):
            say(say="approve", task=number, mark="0")
        say(say=["approve"], task=0)
        say(say="rows", **{"from": "x", "to": 3})
        marks = {number: held[2] for number, held in made[0].widget.page.by_task["held"].items()}
        for mark in (None, "", "other", 5, marks[1]):
            say(say="approve", task=0, mark=mark)
        made[0]._hear(None, "text", [])  # a page may send what is no dict
        await asyncio.sleep(0.05)
        assert set(run.progress.held) == {"a", "b"}
        for _ in range(2):
            say(say="approve", task=0, mark=marks[0])
        say(say="deny", task=1, mark=marks[1])
        await task
        return run

    run = asyncio.run(perform())
    assert (run.answer, run.failures["b"].kind) == ("sent to ann", "denied")


def test_a_page_may_skip_a_task_try_it_again_or_give_it_a_value():
    """What cannot be done, and why, is said in the task's details; what makes no sense does nothing."""
    broken = [1]

    @tool
    async def frail(x: object) -> object:
        """Fail while it is broken."""
        if broken:
            raise ValueError(x)
        return x

    async def perform():
        made = []
        plan = "a = nap(1, wait=9)\nb = frail(2)\nc = frail(3)\nd = nap([b, c])\nanswer(d)"
        run, work = begin(Compiler(None, [frail, nap]), "", plan=plan, on_event=tell_first(made))
        made.append(View(run, "own", Wire))
        task = asyncio.create_task(work)
        while len(run.failures) < 3:  # noqa: ASYNC110 - a run has no event for that
            await asyncio.sleep(0.01)
        say = made[0].widget.said
        for number in (None, -1, "0", 10**9):
            say(say="skip", task=number)
        say(say="set", task=1, value=None)
        say(say="set", task=1, value="open('x')")
        broken.clear()
        say(say="retry", task=1)
        say(say="set", task=2, value="[1, 2]")
        say(say="skip", task=0)
        await task
        made[0].end("")
        return made[0], run

    view, run = asyncio.run(perform())
    assert (run.answer, run.why("a").partition(":")[0]) == ([2, [1, 2]], "skipped by you")
    told = [sent["html"] for sent in view.widget.sent if "html" in sent]
    assert len(told) == 1
    assert "a value takes an expression, such as [1, 2] or a variable, not open(" in told[0]
    assert [2, "[1, 2] · set by you"] in view.board.rows.all()["values"]
    assert ", set by you" in details(run, "c")


@pytest.mark.slow
@pytest.mark.parametrize(("word", "count"), [("approve", 1), ("again", 2)])
def test_a_page_may_have_a_call_made_again_that_is_done(word, count):
    """The bar says that it is not repeated; "Again" repeats it."""
    sent = []

    @tool(side_effects=True)
    async def post(to: str) -> str:
        """Post it."""
        sent.append(to)
        return to

    async def perform():
        asked = asyncio.Event()

        async def wait_for_ever(*_):
            asked.set()
            return await asyncio.get_running_loop().create_future()

        made, compiler = [], Compiler(None, [post])
        first, work = begin(Compiler(None, [post], approve="auto"), "", plan="a = post('ann')\nanswer(a)")
        await work
        order = compiler.order(plan="b = post(to='ann')\nanswer(b)", source=first)
        run, work = compiler.begin(order, ask=wait_for_ever, on_event=tell_first(made))
        made.append(View(run, "own", Wire))
        task = asyncio.create_task(work)
        await asked.wait()
        await asyncio.sleep(0.2)
        number, (_, _, mark, note, _) = next(iter(made[0].widget.page.by_task["held"].items()))
        assert note == f"not repeated: done in round 1 of the run {first.id}"
        made[0].widget.said(say=word, task=number, mark=mark)
        await task
        return run

    run = asyncio.run(perform())
    assert (run.answer, len(sent)) == ("ann", count)


def test_pause_starts_nothing_and_go_starts_the_rest():
    """What runs in the pause goes on to its end."""

    async def perform():
        made, begun, gate = [], asyncio.Event(), asyncio.Event()

        @tool
        async def hold(n: int) -> int:
            begun.set()
            await gate.wait()
            return n

        run, work = begin(
            Compiler(None, [hold], max_concurrency=1),
            "",
            plan="a = hold(1)\nb = hold(2)\nanswer(b)",
            on_event=tell_first(made),
        )
        made.append(View(run, "own", Wire))
        task = asyncio.create_task(work)
        await begun.wait()
        made[0].widget.said(say="pause")
        await until(lambda: run.progress.paused)
        gate.set()
        await until(lambda: run.state("a") == "done")
        await asyncio.sleep(0.01)  # in which the other could begin
        assert {id_: run.state(id_) for id_ in "ab"} == {"a": "done", "b": "ready"}
        assert "paused" in run.why("b")
        made[0].widget.said(say="resume")
        await task
        await until(lambda: made[0].widget.page.facts["paused"] is False)
        return run

    assert asyncio.run(perform()).answer == 2


def test_a_view_of_a_run_that_goes_on_catches_up_and_follows():
    """`run.view()` in another cell, while the run is in the background."""

    async def perform():
        begun, go = asyncio.Event(), asyncio.Event()

        @tool
        async def held(x: int) -> int:
            """Return it once somebody looks."""
            begun.set()
            await go.wait()
            return x

        run, work = begin(Compiler(None, [nap, held]), "", plan="a = nap(1)\nb = held(a)\nanswer(b)")
        task = asyncio.create_task(work)
        async with asyncio.timeout(60):
            await begun.wait()
            view = View(run, "own", Wire).follow()
            go.set()
            await task
            while not view.widget.page.facts["footer"]:  # noqa: ASYNC110 - a page tells nobody
                await asyncio.sleep(0.005)
        return view.widget.page

    page = asyncio.run(perform())
    assert page.states == {"a": "done", "b": "done"}
    assert page.facts["status"] == "done"
    assert page.facts["footer"].startswith("2 tasks")


def test_old_views_are_closed():
    """A kernel that runs for days keeps only some of them connected."""
    view, run = watched("a = get(1)\nanswer(a)", [get])
    for _ in range(KEPT + 5):
        View(run, "own", Wire)
    assert len(views._KEPT) == KEPT
    assert view not in views._KEPT


def test_the_view_of_a_run_that_goes_on_is_never_closed():
    """A run in the background is still followed after many other cells."""
    _, ended = watched("a = get(1)\nanswer(a)", [get])
    going, work = begin(Compiler(None, [get]), "", plan="a = get(1)\nanswer(a)")
    view = View(going, "own", Wire)
    for _ in range(KEPT + 5):
        View(ended, "own", Wire)
    assert view in views._KEPT
    asyncio.run(work)


# ---------------------------------------------------------------- one task


def test_details_tell_arguments_value_and_why():
    """Arguments as the tool got them, the value as a table, and the time in words."""
    _, run = watched("a = get([{'x': 1}, {'x': 2}])\nb = get(a[0]['x'] + 1)\nanswer(b)", [get])
    html = details(run, "b")
    assert "done after" in html
    assert "get(a[0]" in html
    assert ">2</td>" in html
    assert '<th class="cnb-number">x</th>' in details(run, "a")


def test_details_hold_the_exact_prompt_of_a_model_call():
    """With its model and what it used."""

    async def perform():
        model = ScriptedModel({"planner": "a = llm('Say <b>it</b> twice.')\nanswer(a)\n", "worker": "it it"})
        return await Compiler(model).run("Say it.")

    html = details(asyncio.run(perform()), "a")
    assert "prompt to scripted:" in html
    assert "Say &lt;b&gt;it&lt;/b&gt; twice." in html
    assert "<b>it" not in html


def test_details_name_the_model_that_answered_where_it_is_another():
    """A proxy may choose."""

    class Other(ScriptedModel):
        async def stream(self, request):
            yield Chunk("it it", "stop", None, "<i>another")

    planner = ScriptedModel(["a = llm('Say it.')\nanswer(a)\n"])
    run = asyncio.run(Compiler(Other([]), planner=planner).run("Say it."))
    assert "prompt to scripted:scripted, answered by &lt;i&gt;another" in details(run, "a")


def test_details_say_what_a_reply_was_written_under():
    """The grammar that the server held it to, if it did."""

    class Holds(ScriptedModel):
        async def stream(self, request):
            yield Chunk('{"value": 7}', "stop", grammar=request.grammar.about)

    planner = ScriptedModel(["a = extract('how many', 'seven', 'number')\nanswer(a)\n"])
    run = asyncio.run(Compiler(Holds([]), planner=planner).run("How many?"))
    assert run.answer == 7
    assert "prompt to scripted:scripted · written under a grammar of a number · " in details(run, "a")


def test_details_of_a_hundred_megabytes_are_short():
    """The value is cut, counted, and never copied as text."""
    big = "x" * 100_000_000

    @tool
    async def huge() -> str:
        """Return much."""
        return big

    _, run = watched("a = huge()\nb = get([a, a])\nanswer(1)", [huge, get])
    began = time.process_time()
    html = details(run, "a") + details(run, "b")
    assert time.process_time() - began < 2
    assert len(html) < 60_000
    assert "100,000,000 characters" in html


class Tags(HTMLParser):
    """Notes the elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag, attrs):
        """Note them."""
        self.found |= {tag, *(f"@{name}" for name, _ in attrs)}


@pytest.mark.slow
@pytest.mark.parametrize("made", [*OUTPUTS.values(), *VALUES.values()], ids=[*OUTPUTS, *VALUES])
def test_details_of_hostile_values_are_inert(made):
    """Whatever a tool returns: no element but those of tables and text, and it never raises."""
    value = made()

    @tool
    async def nasty() -> object:
        """Return it."""
        return value

    _, run = watched("a = nasty()\nb = get(a)\njoin()", [nasty, get])
    reader = Tags()
    reader.feed(details(run, "a") + details(run, "b"))
    allowed = {"p", "pre", "h5", "table", "tbody", "thead", "tr", "th", "td", "code", "b", "i", "ul", "ol", "li", "br"}
    allowed |= {"small", "span", "details", "summary", "img", "@alt", "@src", "@class", "@start"}
    assert reader.found <= allowed


# ---------------------------------------------------------------- run again from the page

CHAIN = "a = get(1)\nb = send(f'x{a}')\nc = get([b, 2])\nd = get(3)\nanswer([c, d])"


def test_details_say_what_a_rerun_from_there_does(monkeypatch):
    """Which tasks run again, and the side effects among them, named; nothing where no notebook could do it."""
    monkeypatch.setattr(views, "RERUN", [])
    run = Compiler(None, [get, send], approve="auto").execute_sync(CHAIN)
    view = View(run, widget=Wire)
    view.widget.said(say="task", task=0)
    assert view.widget.sent[-1]["again"] == ""
    begun = []
    monkeypatch.setattr(views, "RERUN", [lambda view, id_: begun.append((view, id_))])
    words = {}
    for number, id_ in enumerate(run.progress.tasks):
        view.widget.said(say="task", task=number)
        words[id_] = view.widget.sent[-1]["again"]
    asked = "; side effects, asked for again only if their arguments changed: b"
    assert words == {
        "a": f"runs again: a, b, c, d{asked}",
        "b": f"runs again: b, c, d{asked}",
        "c": "runs again: c",
        "d": "runs again: d",
    }
    view.widget.said(say="rerun", task=2)
    view.widget.said(say="rerun", task=99)
    view.widget.said(say="rerun")
    assert begun == [(view, "c")]
    view.refuse("c", "no such input")
    assert "no such input" in view.widget.sent[-1]["html"]


def test_a_view_shows_another_run_from_now_on():
    """The page starts over, with the same tasks, and hears what becomes of the new run."""

    async def perform():
        first = await Compiler(None, [get]).execute("a = get(1)\nanswer(a)")
        view = View(first, widget=Wire)
        waiting = [view]
        run, work = begin(
            Compiler(None, [nap]), "", plan="a = nap(7)\nb = nap(a)\nanswer(b)", on_event=tell_first(waiting)
        )
        view.switch(run)
        page = view.widget.page
        assert (page.facts["run"]["id"], page.ids, page.facts["run"]["buttons"]) == (run.id, [], True)
        await work
        view.end("the end")
        return view

    view = asyncio.run(perform())
    page = view.widget.page
    assert page.states == {"a": "done", "b": "done"}
    assert (page.facts["footer"], page.facts["status"], page.facts["run"]["live"]) == ("the end", "done", False)
    assert Page([view.snapshot()]).seen() == page.seen()
