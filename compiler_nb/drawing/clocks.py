"""The times in a picture of a run: beside each task's name, how long it ran, and after how many tries.

They are drawn over the boxes, which are as large without them: only these elements differ from run to run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from compiler_nb.drawing.boxes import MARK, PAD, Box, end_key, is_stack, text_width
from compiler_nb.drawing.style import px
from compiler_nb.outcome import CACHED
from compiler_nb.plan.task import owner_of
from compiler_nb.text import nth, seconds_text
from compiler_nb.trace import JOINER, Progress, role_of, spent

SIZE: Final = 11.0
ABOVE: Final = -5.0
"""Where a time is if its box has no room beside the name, in pixels below the box's upper border."""


def times_of(progress: Progress, at: float) -> dict[str, str]:
    """Return how long each task of a run ran and after how many tries, and how long the joiner took, by box.

    What the cache knew says so instead.
    """
    words = {}
    for id_, tried in list(progress.spans.items()):
        if owner_of(id_):  # an item has no room for it
            continue
        tries = f"{nth(len(tried), 'try')} · " if len(tried) > 1 else ""
        words[id_] = f"{tries}{seconds_text(spent(progress, id_, at).ran)}"
    for call in [each for each in list(progress.calls.values()) if not each.task and role_of(each) == JOINER]:
        took = (at if call.ended is None else call.ended) - call.started
        words[end_key(call.round, len(progress.rounds))] = CACHED if call.saved is not None else seconds_text(took)
    return words | _cached(progress)


def _cached(progress: Progress) -> dict[str, str]:
    """Return the tasks that took no time because the cache knew their values, and how many items of each fan-out."""
    known = [id_ for id_, end in list(progress.ends.items()) if end.how == CACHED]
    if not known:
        return {}
    found = Counter(filter(None, map(owner_of, known)))
    items = Counter(task.owner for task in list(progress.tasks.values()))
    counts = {
        id_: CACHED if count == items[id_] else f"{count:,} of {items[id_]:,} {CACHED}" for id_, count in found.items()
    }
    return dict.fromkeys(known, CACHED) | counts


def draw_times(
    boxes: Mapping[str, Box], places: Mapping[str, tuple[float, float]], times: Mapping[str, str]
) -> list[str]:
    """Return the times of boxes as texts; places: the centres of the boxes."""
    return [text for key, box in boxes.items() for text in _of(box, *places[key], times)]


def _of(box: Box, x: float, y: float, times: Mapping[str, str]) -> Iterator[str]:
    left, top = x - box.width / 2, y - box.height / 2
    for inner, dx, dy in box.inner:
        yield from _of(inner, left + dx, top + dy, times)
    words = times.get(box.key if box.kind == "end" else box.task)
    if not words:
        return
    right = left + box.width - PAD
    if box.kind == "end":
        yield _text(right, y + 4, words, " cnb-on-ink")
        return
    room = box.width - 2 * PAD - MARK - text_width(box.label) - 10
    beside = not is_stack(box) and room >= text_width(words, size=SIZE)
    yield _text(right, top + (20 if beside else ABOVE), words)


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text class="cnb-time{more}" x="{px(x)}" y="{px(y)}">{escape(words)}</text>'
