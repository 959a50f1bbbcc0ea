// Elements: made from names and texts, never from markup.
import { MARKS, STATES } from "./states.js";

export const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag @param {string} [kind] its class @param {string} [text]
 * @returns {HTMLElement}
 */
export function make(tag, kind = "", text = "") {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

/** @param {string} tag @param {Record<string, string|number>} [attributes] @returns {SVGElement} */
export function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * @param {string} kind its class @param {string} text its text @param {string} label what it does, for screen readers
 * @param {() => void} act
 * @returns {HTMLButtonElement}
 */
export function makeButton(kind, text, label, act) {
  const button = /** @type {HTMLButtonElement} */ (make("button", kind, text));
  button.type = "button";
  button.title = label;
  button.setAttribute("aria-label", label);
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    act();
  });
  return button;
}

/** @param {number} state @returns {SVGElement} a disc with the state's mark, 14 pixels wide */
export function makeMark(state) {
  const svg = makeSvg("svg", { viewBox: "-9 -9 18 18", width: 14, height: 14, "aria-hidden": "true" });
  const disc = makeSvg("circle", { class: "cnb-disc", r: 8 });
  svg.append(disc, makeSvg("path", { class: "cnb-mark", d: MARKS[STATES[state]] }));
  svg.setAttribute("class", `cnb-sign cnb-${STATES[state]}`);
  svg.dataset.state = STATES[state];
  return svg;
}

/**
 * Show another state on an element: its class, `data-state`, and its own mark.
 * @param {HTMLElement|SVGElement} element @param {number} state
 * @returns {boolean} whether the element had another one
 */
export function setState(element, state) {
  const name = STATES[state];
  const before = element.dataset.state;
  if (before === name) return false;
  if (before) element.classList.remove(`cnb-${before}`);
  else element.classList.remove(...STATES.map((each) => `cnb-${each}`));
  element.classList.add(`cnb-${name}`);
  element.dataset.state = name;
  const mark = element.querySelector(":scope > .cnb-mark");
  if (mark) mark.setAttribute("d", MARKS[name]);
  return true;
}

/** Set the text of an element, if it has another one. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Move the focus by arrow keys within a row of elements; Tab reaches only one of them.
 * @param {KeyboardEvent} event @param {Element[]} stops
 * @returns {boolean} whether the key was one of them
 */
export function rove(event, stops) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const ends = { Home: 0, End: stops.length - 1 }[event.key];
  const here = stops.indexOf(/** @type {Element} */ (event.target));
  if (here < 0 || (step === undefined && ends === undefined)) return false;
  const next = stops[ends ?? Math.min(Math.max(here + (step ?? 0), 0), stops.length - 1)];
  stops[here].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  /** @type {HTMLElement} */ (next).focus();
  event.preventDefault();
  event.stopPropagation();
  return true;
}
