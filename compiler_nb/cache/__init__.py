"""The cache: plans, decisions, replies and values of pure tools that need not be worked out again, and why one must.

A key is made of all that a value follows from, so what is found under it is right; what a key was made of is kept part
by part beside it, so that a miss can say what has changed.
"""

from __future__ import annotations

from compiler_nb.cache.cache import Cache, Stored

__all__ = ["Cache", "Stored"]
