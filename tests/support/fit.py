"""Whether what is drawn in a page fits: no text leaves its box, lies over another or is crossed by a line; all is seen.

Sizes are those that the browser has measured, so that fonts, zoom and widths count as they are.
"""

from __future__ import annotations

import time
from typing import Any

MISFITS = """(root) => {
  const near = 1.5, found = [];
  const name = (e) => e.closest('[data-task]')?.dataset.task ?? e.textContent.trim().slice(0, 30);
  const seen = (e) => e.checkVisibility({opacityProperty: true, visibilityProperty: true}) && e.getClientRects().length;
  const inside = (a, b) => a.left >= b.left - near && a.right <= b.right + near
      && a.top >= b.top - near && a.bottom <= b.bottom + near;
  for (const svg of document.querySelectorAll(`${root} svg.cnb`)) {
    if (!seen(svg)) continue;
    const frame = svg.getBoundingClientRect(), boxes = [];
    const scrolls = svg.parentElement.querySelector(':scope > .cnb-scroll:not([hidden])');
    for (const box of svg.querySelectorAll('.cnb-box')) {
      if (!seen(box)) continue;
      const own = box.getBoundingClientRect(), task = box.parentElement;
      if (!scrolls && !inside(own, frame)) found.push(`cut off: the box of ${name(box)} leaves the picture`);
      const words = [...task.querySelectorAll(':scope > text')].filter((text) => seen(text) && text.textContent);
      words.forEach((text, at) => {
        const room = text.getBoundingClientRect(), told = text.textContent.slice(0, 40);
        const above = text.classList.contains('cnb-time') && text.getAttribute('y') === '-5';  // if it is long
        if (!above && !inside(room, own)) found.push(`text: "${told}" leaves the box of ${name(box)}`);
        for (const other of words.slice(0, at)) {
          const rect = other.getBoundingClientRect();
          const wide = Math.min(room.right, rect.right) - Math.max(room.left, rect.left);
          const high = Math.min(room.bottom, rect.bottom) - Math.max(room.top, rect.top);
          if (wide > near && high > 2 * near) found.push(`text: "${told}" lies over another one`);
        }
      });
      for (const [other, rect] of boxes) {
        if (other.parentElement === task || other.contains(box)) continue;  // the sheets of a stack
        const wide = Math.min(own.right, rect.right) - Math.max(own.left, rect.left);
        const high = Math.min(own.bottom, rect.bottom) - Math.max(own.top, rect.top);
        if (wide > near && high > near) found.push(`overlap: ${name(other)} and ${name(box)}`);
      }
      boxes.push([box, own]);
    }
    const placed = (some) => [...some].map((e) => [e, e.getBoundingClientRect()]);
    const hiding = placed(svg.querySelectorAll('.cnb-box, .cnb-headline, .cnb-strip'));
    const holds = (rect, {x, y}) => x > rect.left && x < rect.right && y > rect.top && y < rect.bottom;
    const meet = (a, b) => a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;
    const rooms = placed([...svg.querySelectorAll('text')].filter((e) => seen(e) && e.textContent));
    for (const line of svg.querySelectorAll('path:is(.cnb-edge, .cnb-chain, .cnb-grid)')) {
      if (!seen(line)) continue;
      const own = line.getBoundingClientRect(), to = line.getScreenCTM(), far = line.getTotalLength();
      const words = rooms.filter(([, rect]) => meet(rect, own));
      for (let at = 0; words.length && at <= far; at += 3) {
        const point = line.getPointAtLength(at).matrixTransform(to);
        const crossed = words.find(([, rect]) => holds(rect, point));
        const behind = crossed && hiding.some(([e, rect]) => holds(rect, point)
            && line.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING);
        if (!crossed || behind) continue;
        found.push(`line: from ${line.dataset.from ?? 'a box'}, crosses "${crossed[0].textContent.slice(0, 40)}"`);
        break;
      }
    }
    for (const text of svg.querySelectorAll('text')) {
      if (!scrolls && seen(text) && text.textContent && !inside(text.getBoundingClientRect(), frame))
        found.push(`cut off: the text "${text.textContent.slice(0, 40)}" leaves the picture`);
    }
  }
  for (const e of document.querySelectorAll(`${root} *:not(svg *)`)) {
    if (!seen(e) || e.closest('.cnb-flat')) continue;
    const style = getComputedStyle(e);
    const wide = e.scrollWidth - e.clientWidth > near && e.clientWidth > 0 && style.display !== 'inline';
    if (wide && style.overflowX === 'hidden' && style.textOverflow !== 'ellipsis' && e.innerText?.trim())
      found.push(`cut off: "${e.innerText.trim().slice(0, 40)}" is wider than its ${e.className || e.tagName}`);
  }
  for (const area of document.querySelectorAll(root)) {
    if (area.scrollWidth - area.clientWidth > near && area.clientWidth > 0)
      found.push(`cut off: what is shown is ${area.scrollWidth} px wide, its place ${area.clientWidth}`);
  }
  if (document.body.innerText.includes('Error displaying widget')) found.push('a widget that is not there');
  return [...new Set(found)];
}"""


def misfits(page: Any, root: str = ".cnb-live, .cnb-out") -> list[str]:
    """Return what does not fit within the elements that match any of some selectors, in words."""
    return list(dict.fromkeys(each for part in root.split(",") for each in page.evaluate(MISFITS, part.strip())))


def lasting_misfits(page: Any, root: str = ".cnb-live, .cnb-out", seconds: float = 5.0) -> list[str]:
    """Return what does not fit even after a while: a busy page lays out its parts one after another."""
    deadline = time.monotonic() + seconds
    while (found := misfits(page, root)) and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    return found
