"""A run as a page of its own."""

from __future__ import annotations

import asyncio

from compiler_nb import Compiler
from tests.support.desk import Desk


def test_a_page_holds_all_and_fetches_nothing(tmp_path):
    """Question, answer, graph, timeline and table; whatever a tool returns acts nowhere."""
    hostile = "<script>alert(1)</script>"
    compiler = Compiler(tools=Desk().tools)
    run = asyncio.run(compiler.execute(f"a = get({hostile!r})\nb = get(2)\nanswer(a)", question="Which <b>?"))
    page = run.save(tmp_path / "run.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<title>Which &lt;b&gt;?</title>" in page
    assert "default-src 'none'" in page
    assert page.count("<svg") >= 2
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
