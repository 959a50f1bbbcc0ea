"""How a plan was understood, in words."""

from __future__ import annotations

from compiler_nb.plan.plan import Plan

PLAN = """
rows = {t: price(t) for t in tickers}
sums = [llm("sum up", search(t))["text"] for t in rows if t != "X"]
note = llm("why", search(rows["A"]))
send(note)
answer(note)
"""


def test_every_task_has_its_line():
    """Nested calls have ids of their own, a fan-out says what one item is, and the last line what it needs."""
    told = Plan.parse(PLAN, inputs=["tickers"]).explain().split("\n")
    assert told[0] == "rows = {t: price(t) for t in tickers}  # a fan-out; starts at once"
    assert told[1:3] == ["    for each t in tickers:", "    rows[t] = price(t)  # a call per item"]
    assert "    sums[n].1 = search(t)  # a call per item" in told
    assert '    sums[n].2 = llm("sum up", sums[n].1)  # a call per item' in told
    assert '    sums[n] = sums[n].2["text"]  # an expression per item' in told
    assert 'note.1 = search(rows["A"])  # a call; waits for rows' in told
    assert "@4 = send(note)  # a call; waits for note" in told
    assert "answer(note)  # the answer itself, as soon as note is there" in told


def test_the_shape_is_told():
    """How many at once, and the longest chain."""
    told = Plan.parse("a = f(1)\nb = f(2)\nc = g(a, b)\njoin(c)\n").explain()
    assert told.endswith("3 tasks in 2 levels; at most 2 at once: a, b\nthe longest chain: a -> c")
    assert "join(c)  # when all tasks have ended, the joiner is shown c" in told
    assert "1 task in 1 level; at most 1 at once: a" in Plan.parse("a = f(1)\nanswer(a)\n").explain()
    assert Plan.parse("answer(1)").explain().endswith("no task")
