// Markup from the kernel becomes elements here and nowhere else.
//
// It is parsed into a document of its own, where nothing runs or loads, and what is allowed is made anew: a node of the
// parsed tree never enters the page, and nothing is written back to text and parsed again.
import { SVG } from "./dom.js";

const DRAWN = new Set("svg g path rect circle text tspan title desc".split(" "));
const WRITTEN = new Set(
  ("p div span b i em strong code pre br ul ol li table thead tbody tr th td small img h4 h5 details summary wbr ins del").split(" "),
);
const PLAIN = new Set(
  ("d x y width height rx cx cy r transform viewBox data-task data-state data-width data-from data-to data-joiner role aria-label " +
    "hidden start alt colspan rowspan open").split(" "),
);
const OURS = /^(cnb(-[\w-]+)?|dataframe)$/;
const PNG = /^data:image\/png;base64,[A-Za-z0-9+/=\s]*$/;
const DEEPEST = 100;

/**
 * Return the elements of some texts, each an element or several of a picture; they are parsed together, for each document
 * takes its time, unless one of them is broken: then that one is left out.
 * @param {string[]} texts @returns {DocumentFragment}
 */
export function cleanSvg(texts) {
  const whole = new DOMParser().parseFromString(`<svg xmlns="${SVG}">${texts.join("")}</svg>`, "image/svg+xml");
  if (!whole.getElementsByTagName("parsererror").length) return _copyAll(whole.documentElement.childNodes, DRAWN, SVG, 0);
  const all = document.createDocumentFragment();
  if (texts.length > 1) all.append(...texts.map((text) => cleanSvg([text])));
  return all;
}

/** @param {string} text @returns {DocumentFragment} */
export function cleanHtml(text) {
  const whole = new DOMParser().parseFromString(text, "text/html");
  return _copyAll(whole.body.childNodes, WRITTEN, "http://www.w3.org/1999/xhtml", 0);
}

/**
 * @param {Iterable<Node>} nodes @param {Set<string>} allowed @param {string} space @param {number} depth
 * @returns {DocumentFragment}
 */
function _copyAll(nodes, allowed, space, depth) {
  const fragment = document.createDocumentFragment();
  for (const node of nodes) {
    if (node.nodeType === Node.TEXT_NODE) fragment.append(node.nodeValue ?? "");
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const element = /** @type {Element} */ (node);
    if (element.namespaceURI !== space || !allowed.has(element.localName) || depth > DEEPEST) continue;
    const copy = document.createElementNS(space, element.localName);
    for (const { name, value } of element.attributes) {
      const kept = _cleanAttribute(name, value);
      if (kept !== null) copy.setAttribute(name, kept);
    }
    copy.append(_copyAll(element.childNodes, allowed, space, depth + 1));
    fragment.append(copy);
  }
  return fragment;
}

/**
 * Return what may stand in an attribute, or null; classes that are not ours would dress as the page's own elements,
 * and of the data attributes only ours may stay, as JupyterLab performs commands that others name.
 * @param {string} name @param {string} value @returns {string|null}
 */
function _cleanAttribute(name, value) {
  if (name === "class") return value.split(/\s+/).filter((each) => OURS.test(each) && each !== "cnb-live").join(" ");
  if (name === "src") return PNG.test(value) ? value : null;
  if (name === "tabindex") return value === "0" || value === "-1" ? value : null;
  return PLAIN.has(name) ? value : null;
}
