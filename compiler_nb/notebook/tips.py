"""What Shift-Tab shows of a tool: how it is called and what it does. Of `llm` and `extract` too.

A kernel asks for a name without saying in which cell it stands, so this holds in every cell. IPython has no hook for
names that it does not find: the shell's own method is replaced while the extension is loaded.
"""

from __future__ import annotations

import inspect
from html import escape
from typing import Any

from compiler_nb.tool import Tool
from compiler_nb.toolbox.language import make_language_tools


def inspect_mime(shell: Any, oname: str, detail_level: int = 0, omit_sections: Any = ()) -> Any:
    """Return what is known of a name, as IPython's method of this name does. Raises KeyError if it is not known."""
    offered = {tool.name: tool for tool in make_language_tools()}  # in every plan
    tool = shell.user_ns.get(oname, offered.get(oname))
    if isinstance(tool, Tool) and not detail_level:
        text = tip(tool)  # a kernel takes the HTML out; without it it would say that the name was not found
        return {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}
    return type(shell).object_inspect_mime(shell, oname, detail_level, omit_sections)


def tip(tool: Tool) -> str:
    """Return how a tool is called, what it does, and what is special about its calls."""
    marks = {"side effects": tool.side_effects, "pure": tool.pure, "main thread": tool.thread == "main"}
    special = [name for name, holds in marks.items() if holds]
    if tool.timeout is not None:
        special.append(f"timeout {tool.timeout:g} s")
    if tool.retries:
        special.append(f"retries {tool.retries}")
    about = inspect.getdoc(tool.function) or ""
    return "\n\n".join(part for part in (tool.signature, about, f"Tool: {', '.join(special)}") if part)
