// The names in the graph. They grow when one zooms out, as far as their boxes have room: at a low zoom nothing else is
// legible.
import { SMALL } from "./camera.js";

const FAR = 0.4; // zoom below which boxes are filled with their states
const NAME = [13, 34]; // least and greatest height of a name in the picture,
const LEGIBLE = 7; // and least on the page
const [COUNT, COUNT_ROOM] = [17, 76]; // greatest height of a count, and its width then
const LETTER = 8.6; // pixels for a letter of a font that cannot be measured
export const INSET = 14;

export class Names {
  /** @param {SVGSVGElement} svg what is seen of the picture */
  constructor(svg) {
    this.svg = svg;
    /** @type {{label: SVGElement, most: number}[]} labels, and how high they may become */ this.all = [];
    this.written = "";
  }

  /** Find how high the name and the count of a box may be written. @param {Element} box */
  add(box) {
    const label = /** @type {SVGElement|null} */ (box.querySelector(":scope > .cnb-id"));
    const count = /** @type {SVGElement|null} */ (box.querySelector(":scope > .cnb-count"));
    if (!label) return;
    const width = widthOf(label);
    const most = (NAME[0] * (roomBeside(box, label) + width - (count ? COUNT_ROOM : 0))) / width;
    this.all.push({ label, most: Math.min(Math.max(most, NAME[0]), NAME[1]) });
    if (count) this.all.push({ label: count, most: COUNT });
  }

  /** Write them for a zoom. @param {number} k pixels for each of the picture's */
  write(k) {
    const small = k < SMALL; // only names are shown, as large as their boxes allow
    const height = small ? Math.round(NAME[0] / k) : NAME[0];
    const written = `${height} ${this.all.length}`;
    if (written === this.written) return;
    this.written = written;
    this.svg.classList.toggle("cnb-small", small);
    this.svg.classList.toggle("cnb-far", k < FAR);
    for (const { label, most } of this.all) {
      const high = Math.min(height, most);
      label.style.fontSize = small ? `${high.toFixed(1)}px` : "";
      label.style.display = high * k < LEGIBLE ? "none" : "";
    }
  }
}

/** @param {Element} box @param {Element} label @returns {number} pixels between a label and the right end of its box */
export function roomBeside(box, label) {
  const width = Number(box.querySelector(":scope > .cnb-box")?.getAttribute("width"));
  return width - INSET - Number(label.getAttribute("x")) - widthOf(label);
}

/** @type {WeakMap<Element, number>} */ const WIDTHS = new WeakMap();

/** Measure labels together, before anything changes: the page lays its texts out once for all. @param {Iterable<Element>} labels */
export function measure(labels) {
  for (const label of labels) widthOf(label);
}

/** @param {Element} label @returns {number} pixels that it takes in the picture, in its usual size */
function widthOf(label) {
  const known = WIDTHS.get(label);
  if (known) return known;
  const text = /** @type {SVGTextElement} */ (label);
  const scale = NAME[0] / (parseFloat(text.style.fontSize) || NAME[0]);
  const measured = text.isConnected && text.style.display !== "none" ? text.getComputedTextLength() * scale : 0;
  if (measured) WIDTHS.set(label, measured + 1);
  return measured ? measured + 1 : LETTER * (label.textContent ?? "").length;
}
