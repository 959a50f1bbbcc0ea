"""Random plans in which anything reads anything that stands before it, items of fan-outs by key included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from compiler_nb.tool import Tool, tool

if TYPE_CHECKING:
    from random import Random


@tool
async def odd(x: object) -> object:
    """Return it, but fail for "b"."""
    if x == "b":
        raise ValueError("even")
    return x


def random_readers(dice: Random) -> str:
    """Return a plan in which anything may read anything that stands before it, items by key included."""
    lines, plain, dicts = ['keys = get(["a", "b", "c"])'], ["keys"], []
    for number in range(dice.randrange(3, 12)):
        name = f"t{number}"
        kind = dice.random()
        if kind < 0.25:
            source = dice.choice(["keys", *dicts])
            lines.append(f"{name} = {{k: {dice.choice(['get', 'nap', 'odd'])}(k) for k in {source}}}")
            dicts.append(name)
        elif kind < 0.45 and dicts:
            lines.append(f'{name} = get({dice.choice(dicts)}["{dice.choice("abc")}"])')
        elif kind < 0.6 and dicts:
            lines.append(f"{name} = [get(r) for r in {dice.choice(dicts)}.values()]")
        elif kind < 0.7:
            lines.append(f"{name} = [{', '.join(dice.sample(plain, min(2, len(plain))))}]")
        else:
            lines.append(f"{name} = {dice.choice(['get', 'nap'])}({dice.choice([*plain, *dicts])})")
            plain.append(name)
    return "\n".join([*lines, "join()"])


def shaky_tool() -> Tool:
    """Return a tool whose first call with an argument fails."""
    tries: set[str] = set()

    @tool(retries=1)
    async def shaky(x: object) -> object:
        """Fail the first time."""
        await asyncio.sleep(0)
        if str(x) not in tries:
            tries.add(str(x))
            raise OSError("down")
        return x

    return shaky
