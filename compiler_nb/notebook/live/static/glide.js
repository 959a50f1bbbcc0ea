// Boxes that glide from their places in the streamed picture to those in the whole one.

/** @typedef {{x: number, y: number}} Point */

/** If there are more boxes than this, they do not glide: no eye could follow, and the page would be too slow. */
export const MOST_GLIDES = 60;
const PACE = { duration: 250, easing: "cubic-bezier(.3,0,.2,1)" };

/** @param {Element} element @returns {Point} */
function _translateOf(element) {
  const found = /translate\(\s*(-?[\d.]+)(?:[\s,]+(-?[\d.]+))?/.exec(element.getAttribute("transform") ?? "");
  return { x: Number(found?.[1] ?? 0), y: Number(found?.[2] ?? 0) };
}

/** @param {Element} element @returns {Point} where it stands in the picture */
export function placeOf(element) {
  const place = { x: 0, y: 0 };
  for (let each = /** @type {Element|null} */ (element); each && each.localName === "g"; each = each.parentElement) {
    const { x, y } = _translateOf(each);
    place.x += x;
    place.y += y;
  }
  return place;
}

/** @param {Element} element a box @returns {Point} its middle */
export function middleOf(element) {
  const { x, y } = placeOf(element);
  const shape = element.querySelector(".cnb-box");
  return { x: x + Number(shape?.getAttribute("width") ?? 0) / 2, y: y + Number(shape?.getAttribute("height") ?? 0) / 2 };
}

/** @param {Map<number, Element>} boxes by task @returns {Map<number, Point>} */
export function placesOf(boxes) {
  return new Map([...boxes].map(([number, box]) => [number, placeOf(box)]));
}

/**
 * Move boxes from where they stood to where they stand.
 * @param {Map<number, Element>} boxes @param {Map<number, Point>} before
 * @returns {Point|null} how far the picture as a whole has moved, for the camera to follow; null if no box stayed
 */
export function glide(boxes, before) {
  const moves = [...boxes].filter(([number]) => before.has(number));
  if (!moves.length) return null;
  const after = placesOf(new Map(moves));
  const mean = (/** @type {Map<number, Point>} */ places, /** @type {"x"|"y"} */ axis) =>
    moves.reduce((sum, [number]) => sum + /** @type {Point} */ (places.get(number))[axis], 0) / moves.length;
  const shift = { x: mean(after, "x") - mean(before, "x"), y: mean(after, "y") - mean(before, "y") };
  for (const [number, box] of moves) {
    const [from, to] = [/** @type {Point} */ (before.get(number)), /** @type {Point} */ (after.get(number))];
    const own = _translateOf(box);
    const start = { x: own.x + from.x + shift.x - to.x, y: own.y + from.y + shift.y - to.y };
    box.animate([start, own].map(({ x, y }) => ({ transform: `translate(${x}px, ${y}px)` })), PACE);
  }
  return shift;
}
