"""Preferences for all pictures of this process: what lays them out, and how large they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Engine = Literal["auto", "graphviz", "own"]
"""What chooses the places across: our own layout, or Graphviz if it is installed."""


@dataclass
class Preferences:
    """What `%config` sets, for pictures that know no cell, too, such as that of `run.visualize()`.

    layout: what "auto" means; scale: how many times larger than usual pictures and words are, for large rooms.
    """

    layout: Engine = "auto"
    scale: float = 1.0


PREFERENCES: Final = Preferences()
