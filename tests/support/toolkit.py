"""The tools of random plans as plain functions of a module, which a script may import: it needs nothing of the package.

reset: begins anew; some of f, g and h fail for one in `share` arguments.
"""

from __future__ import annotations

import asyncio
import zlib

numbers: dict[str, int] = {}
kept: dict[str, list[int]] = {}
made: list[tuple] = []
shares = [0]


def reset(share: int = 0) -> None:
    """Begin anew."""
    numbers.update(a=0, b=0)
    kept.clear()
    made.clear()
    shares[0] = share


def digest(name, args):
    """Return a number that shows a call."""
    return zlib.crc32(repr((name, args)).encode()) % 97


def called(name, args):
    """Return the value of a call, or fail."""
    value = digest(name, args)
    if shares[0] and value % shares[0] == 1:
        raise ValueError(name)
    return value


async def f(*args):
    """Return a number, after a moment."""
    await asyncio.sleep(digest("wait", args) / 1e5)
    return called("f", args)


def g(*args):
    """Return a number."""
    return called("g", args)


async def h(*args):
    """Return a number, on the loop."""
    return called("h", args)


def keep(key, value):
    """Keep a value."""
    kept.setdefault(key, []).append(value)
    return digest(key, tuple(kept[key]))


async def swap(key, value, mark):
    """Mix a value into a number."""
    await asyncio.sleep(digest("wait", (key, value)) / 1e5)
    made.append((mark, "swap", key, value))
    before = numbers[key]
    numbers[key] = digest("swap", (before, value))
    if shares[0] and value % 13 == 1:
        raise ValueError("swap")
    return before


async def put(key, value, mark):
    """Add to a number."""
    made.append((mark, "put", key, value))
    numbers[key] += digest("put", (value,))
    return digest(key, (value,))


async def total(key):
    """Return a number as it is now."""
    await asyncio.sleep(0)
    return numbers[key]
