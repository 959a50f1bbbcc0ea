from __future__ import annotations

import time
from random import Random

import pytest

from compiler_nb.plan.effects import Turns, in_order, nature
from compiler_nb.plan.plan import Plan
from compiler_nb.plan.task import Task
from compiler_nb.tool import Toolbox, tool
from compiler_nb.toolbox.arithmetic import calculate
from compiler_nb.toolbox.language import make_language_tools


@tool(side_effects=True)
def add(item: str) -> str:
    """Put an item into the basket."""
    return item


@tool(side_effects=True)
def checkout() -> None:
    """Buy what is in the basket."""


@tool
def total(shop: str = "") -> int:
    """Say what the basket costs."""
    return len(shop)


@tool(pure=True)
def square(number: int) -> int:
    """Multiply a number with itself."""
    return number * number


TOOLS = Toolbox([add, checkout, total, square, calculate, *make_language_tools()])


def follows(text: str, **options) -> dict[str, tuple[str, ...]]:
    """Return what each task of a plan follows, by id; nothing of those that follow nothing."""
    plan = Plan.parse(text, tools=TOOLS, **options)
    return {task.id: task.follows for task in plan if task.follows}


# ------------------------------------------------------------------- what a task follows


def test_a_basket_is_filled_before_it_is_bought_and_the_total_is_read_after_that():
    """The example of the README."""
    assert follows('add("tea")\ncheckout()\nt = total()\n') == {"@2": ("@1",), "t": ("@2",)}


def test_a_side_effect_waits_for_the_reads_above_it_and_reads_wait_only_for_side_effects():
    """`before` must not read what `add` changed; the two reads below it may run side by side."""
    plan = 'before = total()\nadd("tea")\nafter = total()\nagain = total("x")\ncheckout()\n'
    assert follows(plan) == {"@2": ("before",), "after": ("@2",), "again": ("@2",), "@5": ("after", "again")}


def test_what_depends_on_its_arguments_alone_waits_for_nothing():
    """Pure tools, the worker model, arithmetic and expressions may start at once below a side effect."""
    plan = 'add("tea")\na = square(3)\nb = llm("x", a)\nc = extract("x", b)\nd = calculate("1 + 1")\ne = [a, d]\n'
    assert follows(plan) == {}


def test_a_plan_whose_tools_have_no_side_effects_has_no_order():
    """Nothing is noted, and the tasks are the same objects."""
    tools = Toolbox([total])
    plan = Plan.parse("a = total()\nb = total()\n", tools=tools)
    assert [task.follows for task in plan] == [(), ()]
    assert all(one is other for one, other in zip(plan, in_order(plan.tasks, tools), strict=True))
    assert nature(plan["a"], tools) == "read"


def test_a_fan_out_of_side_effects_is_one_of_them_and_one_of_reads_a_read():
    """Items go together, so the fan-out as a whole has a place in the order."""
    lines = [
        'x = [total(s) for s in ["a"]]',
        'y = [add(i) for i in ["tea"]]',
        "z = [total(s) for s in y]",
        "checkout()",
    ]
    assert follows("\n".join(lines)) == {"y": ("x",), "z": ("y",), "@4": ("z",)}
    made = Plan.parse("x = [square(total(s)) for s in ['a']]\ny = [square(n) for n in [1]]\n", tools=TOOLS)
    assert [nature(task, TOOLS) for task in made] == ["read", "pure"]


def test_the_calls_of_a_guarded_line_stand_in_the_order_too():
    """Each call in a branch is one of the order; the expression of the line is none."""
    plan = 'ok = total() > 2\nx = add("tea") if ok else checkout()\ny = total() if ok else 0\n'
    assert follows(plan) == {"x.1": ("ok.1",), "x.2": ("x.1",), "y.1": ("x.2",)}


def test_a_json_plan_lists_a_task_before_what_it_depends_on():
    """It stands after that in the plan, and so in the order."""
    plan = """{"tasks": [
        {"id": "buy", "tool": "checkout", "args": {}, "deps": ["tea"]},
        {"id": "cost", "tool": "total", "args": {}},
        {"id": "tea", "tool": "add", "args": {"item": "tea"}},
        {"id": "jam", "tool": "add", "args": {"item": "jam"}}]}"""
    assert [task.id for task in Plan.parse(plan, tools=TOOLS)] == ["cost", "tea", "buy", "jam"]
    assert follows(plan) == {"tea": ("cost",), "buy": ("tea",), "jam": ("buy",)}


def test_a_numbered_plan_is_in_the_order_of_its_numbers():
    """Every dialect has the same order."""
    assert follows('1. add("tea")\n2. total()\n3. checkout()\n4. join()<END_OF_PLAN>') == {"2": ("1",), "3": ("2",)}


def test_a_plan_that_was_read_without_tools_gets_its_order_from_those_it_runs_with():
    """And one that was read with others loses theirs."""
    plan = Plan.parse('add("tea")\ncheckout()\n')
    assert [task.follows for task in plan] == [(), ()]
    placed = in_order(plan.tasks, TOOLS)
    assert [task.follows for task in placed] == [(), ("@1",)]
    assert [task.follows for task in in_order(placed, {})] == [(), ()]


# ------------------------------------------------------------------- the shape of the plan


def test_levels_the_longest_chain_and_explain_know_the_order():
    """A side effect stands below those above it in the text."""
    plan = Plan.parse('add("tea")\ncheckout()\nt = total()\nanswer(t)\n', tools=TOOLS)
    assert plan.levels() == (("@1",), ("@2",), ("t",))
    assert plan.critical_path() == ("@1", "@2", "t")
    assert "t = total()  # a call; waits for its turn: after @2\n" in plan.explain()
    plan = Plan.parse('n = square(2)\nadd("tea")\nadd(f"{n}")\n', tools=TOOLS)
    assert "waits for n, and its turn: after @2\n" in plan.explain()


# ------------------------------------------------------------------- turns


class Line:
    """Tasks that follow each other, and which of them have ended."""

    def __init__(self, **tasks: str) -> None:
        self.over: set[str] = set()
        self.turns = Turns(lambda id_: id_ in self.over or id_ not in tasks)
        self.tasks = {id_: Task(id_, "call", "f", follows=tuple(names.split())) for id_, names in tasks.items()}
        for task in self.tasks.values():
            self.turns.add(task)

    def end(self, id_: str, stop: str | None = None) -> list[str]:
        """End a task; return whose turn comes."""
        self.over.add(id_)
        if stop is not None:
            self.turns.stops[id_] = stop
        return self.turns.end(id_)


def test_a_turn_comes_when_all_that_a_task_follows_have_ended():
    """Two reads, then a side effect, then a read."""
    line = Line(a="", b="", c="a b", d="c")
    assert [line.end(id_) for id_ in "bacd"] == [[], ["c"], ["d"], []]
    assert line.turns.left == {}


def test_what_ends_before_its_turn_does_not_let_others_pass():
    """`b` was not needed while `a` still runs, so `c` waits for `a`."""
    line = Line(a="", b="a", c="b")
    assert line.end("b") == []
    assert line.end("a") == ["b", "c"]


def test_items_wait_for_the_turn_of_their_fan_out_not_for_its_end():
    """Otherwise both would wait for ever."""
    line = Line(a="", **{"rows": "a", "rows[0]": "rows", "b": "rows"})
    assert line.end("a") == ["rows", "rows[0]"]
    assert line.end("rows[0]") == []
    assert line.end("rows") == ["b"]


def test_a_reason_to_stop_is_handed_on_to_all_that_come_after():
    """Through reads, and through what had ended before."""
    line = Line(a="", b="a", c="b", d="c")
    line.end("b")
    line.end("a", "broken")
    assert line.turns.stops == dict.fromkeys("abc", "broken")
    line.end("c")
    assert line.turns.stops["d"] == "broken"


def test_a_task_can_be_moved_to_another_place():
    """As in a repaired plan that has its lines in another order."""
    line = Line(a="", b="a")
    line.turns.move(line.tasks["b"], Task("b", "call", "f"))
    line.turns.move(line.tasks["a"], Task("a", "call", "f", follows=("b",)))
    assert line.turns.left == {"a": 1}
    assert line.end("b") == ["a"]


@pytest.mark.parametrize("number", range(50))
def test_turns_come_in_the_order_of_the_plan_whatever_ends_when(number):
    """Nothing gets its turn before all that it follows, at first or second hand, have ended."""
    random = Random(number)
    text = "".join(random.choice(["add('x')\n", "total()\n", "a = square(2)\n"]) for _ in range(30))
    plan = Plan.parse(text, tools=TOOLS)
    over: set[str] = set()
    turns = Turns(over.__contains__)
    for task in plan:
        turns.add(task)
    ids, kinds = [task.id for task in plan], {task.id: nature(task, TOOLS) for task in plan}
    came = {id_ for id_ in ids if id_ not in turns.left}
    while len(over) < len(ids):
        id_ = random.choice([id_ for id_ in ids if id_ not in over and (id_ in came or random.random() < 0.1)] or [""])
        if id_:
            over.add(id_)
            came.update(turns.end(id_))
        for late in came - over:
            above = ids[: ids.index(late)]
            waits_for = {"effect": ("effect", "read"), "read": ("effect",), "pure": ()}[kinds[late]]
            assert all(other in over for other in above if kinds[other] in waits_for)
    assert came >= set(ids)


def test_ten_thousand_tasks_are_put_in_order_in_little_time():
    """As many reads as side effects, and side effects after many reads: linear."""
    tasks = [Task(f"t{n}", "call", "total" if n % 5_000 else "add") for n in range(10_000)]
    began = time.process_time()
    assert sum(len(task.follows) for task in in_order(tasks, TOOLS)) < 20_000
    assert time.process_time() - began < 1
