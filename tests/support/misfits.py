"""Whether what a page shows of a picture fits: no text leaves its box, no boxes overlap, and nothing is cut off."""

from __future__ import annotations

from typing import Any

MISFITS = """(selector) => {
  const found = [];
  for (const svg of document.querySelectorAll(selector)) {
    const whole = svg.getBoundingClientRect();
    const inside = (inner, outer, by) => inner.left >= outer.left - by && inner.right <= outer.right + by
      && inner.top >= outer.top - by && inner.bottom <= outer.bottom + by;
    const boxes = [...svg.querySelectorAll(".cnb-task, .cnb-end, .cnb-group")];
    const seen = boxes.map((box) => box.querySelector(":scope > .cnb-box").getBoundingClientRect());
    boxes.forEach((box, at) => {
      const name = box.dataset.task ?? box.textContent;
      if (!inside(seen[at], whole, 1)) found.push(`${name} is cut off`);
      for (const text of box.querySelectorAll(":scope > text")) {
        if (!text.textContent || getComputedStyle(text).display === "none") continue;
        const words = text.getBoundingClientRect();
        const above = text.classList.contains("cnb-time") && text.getAttribute("y") === "-5";
        if (!above && !inside(words, seen[at], 1)) found.push(`${name}: "${text.textContent}" leaves its box`);
        for (const other of box.querySelectorAll(":scope > text")) {
          const room = other.getBoundingClientRect();
          const apart = room.right <= words.left + 1 || words.right <= room.left + 1 || room.bottom <= words.top + 3
            || words.bottom <= room.top + 3;
          if (other !== text && other.textContent && getComputedStyle(other).display !== "none" && !apart) {
            found.push(`${name}: "${text.textContent}" lies over "${other.textContent}"`);
          }
        }
      }
      for (let other = 0; other < at; other += 1) {
        const [one, two] = [seen[at], seen[other]];
        const across = one.left < two.right - 1 && two.left < one.right - 1;
        if (across && one.top < two.bottom - 1 && two.top < one.bottom - 1) {
          found.push(`${name} overlaps ${boxes[other].dataset.task ?? boxes[other].textContent}`);
        }
      }
    });
    for (const head of svg.querySelectorAll(".cnb-head")) {
      if (!inside(head.getBoundingClientRect(), whole, 1)) found.push(`the head "${head.textContent}" is cut off`);
    }
  }
  return found;
}"""


def misfits(page: Any, selector: str) -> list[str]:
    """Return what does not fit in the pictures that a selector names, in words."""
    return list(page.evaluate(MISFITS, selector))
