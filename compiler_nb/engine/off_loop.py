"""Work that would hold a loop, on a thread if the platform has any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from compiler_nb.engine.runners import has_threads

T = TypeVar("T")


async def off_loop(work: Callable[..., T], *args: Any) -> T:
    """Return what a function returns, which is called on a thread, or here if there are none."""
    return await asyncio.to_thread(work, *args) if has_threads() else work(*args)
