// Which part of a picture is seen: all of it, or as much as is legible, until the user pans or zooms. Changes glide.
import { Scrolls } from "./scroll.js";

/** @typedef {{x: number, y: number, k: number}} Place the middle, and pixels for each of the picture's */

const GLIDE = 250;
const LEAST = 0.05;
const MOST = 8;
const AWAY = 0.3; // share of what is seen: nearer to its middle than this, nothing is followed
const TALL = 0.7; // of the window's height, at most
const LOWEST = 150;
export const SMALL = 0.6; // zoom below which calls and times are illegible: a picture is then shown in part,
const [LEAST_PART, EASY] = [0.7, 0.85]; // at this zoom: in a slim view at the first, in others up to the second
export const SLIM = 640; // pixels

export class Camera {
  /** @param {SVGSVGElement} svg @param {() => void} moved called after each move */
  constructor(svg, moved) {
    this.svg = svg;
    this.moved = moved;
    /** @type {Place} */ this.at = { x: 0, y: 0, k: 1 };
    /** @type {Place} */ this.goal = this.at;
    this.bounds = [0, 0, 100, 100];
    this.width = 0;
    this.height = this.seen = LOWEST; // what it will be, and is now
    this.free = false; // whether the user has panned or zoomed
    this.partial = false; // whether it shows a part, of a picture that is too large
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.beat = 0;
    this.scrolls = new Scrolls((axis, at) => this._scroll(axis, at));
    this._listen();
  }

  /** @param {number} width in pixels @param {number} [shift] how far its middle went to the right, for the picture to glide */
  resize(width, shift = 0) {
    if (!width || width === this.width) return;
    this.width = width;
    if (shift) this.go({ ...this.at, x: this.at.x + shift / this.at.k }, false);
    this.fit(shift !== 0, !this.free);
  }

  get tallest() {
    return Math.min(Math.max(window.innerHeight * TALL, 360), 820);
  }

  /** @param {number} width @returns {number} pixels for each of the picture's, when all of it is shown so wide */
  scaleAt(width) {
    return Math.max(Math.min(1, width / this.bounds[2], this.tallest / this.bounds[3]), LEAST);
  }

  /** @param {number[]} bounds x, y, width and height of the picture @param {boolean} glide unless that would hide a part */
  frame(bounds, glide) {
    const [, , wide, high] = this.bounds;
    this.bounds = bounds;
    this.fit(glide && bounds[2] <= wide && bounds[3] <= high, !this.free);
  }

  /**
   * Choose the height, and show all; of a picture that would be too small its beginning, unless all is asked for.
   * @param {boolean} glide @param {boolean} [move] @param {boolean} [all]
   */
  fit(glide, move = true, all = false) {
    const [x, y, wide, high] = this.bounds;
    if (!this.width || !wide || !high) return;
    const whole = this.scaleAt(this.width);
    const partial = whole < SMALL && !all;
    const most = this.width < SLIM ? LEAST_PART : EASY;
    const k = partial ? Math.min(most, Math.max(LEAST_PART, this.width / wide, this.tallest / high)) : whole;
    this.height = Math.round(Math.max(LOWEST, Math.min(this.tallest, high * k)));
    if (move) {
      this.free = false;
      this.partial = partial;
      this.go(this._within({ x, y, k }), glide);
    } else this.go(this.at, false);
  }

  /** @param {{x: number, y: number}} place in the picture @returns {number} how far from the middle: .5 is at the edge */
  _off({ x, y }) {
    const { k } = this.at;
    return Math.max(Math.abs(x - this.goal.x) / this.width, Math.abs(y - this.goal.y) / this.height) * k;
  }

  /** Show what happens, if only a part is shown: one of some places. @param {{x: number, y: number}[]} places @param {boolean} glide */
  follow(places, glide) {
    if (!this.partial || this.free || !places.length || places.some((place) => this._off(place) <= AWAY)) return;
    this.go(this._within({ ...places[0], k: this.at.k }), glide);
  }

  /** @param {Place} place @returns {Place} the nearest to it that shows nothing beyond the picture, or all of it */
  _within({ x, y, k }) {
    // What has room begins at the upper left, so that nothing moves while it grows.
    const keep = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ size, /** @type {number} */ seen) =>
      size <= seen ? from + seen / 2 : Math.min(Math.max(at, from + seen / 2), from + size - seen / 2);
    const [left, top, wide, high] = this.bounds;
    return { x: keep(x, left, wide, this.width / k), y: keep(y, top, high, this.height / k), k };
  }

  /** @param {Place} goal @param {boolean} glide */
  go(goal, glide) {
    this.goal = goal;
    cancelAnimationFrame(this.beat);
    if (!glide || this.still.matches) {
      this.at = goal;
      this.seen = this.height;
      this._show();
      return;
    }
    const [from, high] = [this.at, this.seen];
    const begin = performance.now();
    const step = (/** @type {number} */ now) => {
      const part = Math.min(Math.max((now - begin) / GLIDE, 0), 1);
      const soft = 1 - (1 - part) ** 3;
      const k = from.k * (goal.k / from.k) ** soft;
      this.at = { x: from.x + (goal.x - from.x) * soft, y: from.y + (goal.y - from.y) * soft, k };
      this.seen = high + (this.height - high) * soft;
      this._show();
      if (part < 1) this.beat = requestAnimationFrame(step);
    };
    this.beat = requestAnimationFrame(step);
  }

  /** @param {number} factor @param {[number, number]} [around] pixels from the middle @param {boolean} [glide] */
  zoom(factor, around = [0, 0], glide = true) {
    const { x, y, k } = glide ? this.goal : this.at;
    const next = Math.min(Math.max(k * factor, LEAST), MOST);
    const keep = (/** @type {number} */ place, /** @type {number} */ off) => place + off / k - off / next;
    this.free = true;
    this.go({ x: keep(x, around[0]), y: keep(y, around[1]), k: next }, glide);
  }

  /** Bring a part of the picture into sight, if it is not. @param {DOMRect} seen @param {DOMRect} whole */
  reveal(seen, whole) {
    const over = (/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ from, /** @type {number} */ to) =>
      low < from ? low - from - 24 : high > to ? high - to + 24 : 0;
    const dx = over(seen.left, seen.right, whole.left, whole.right);
    const dy = over(seen.top, seen.bottom, whole.top, whole.bottom);
    if (!dx && !dy) return;
    this.free = true;
    this.go({ x: this.at.x + dx / this.at.k, y: this.at.y + dy / this.at.k, k: this.at.k }, true);
  }

  _show() {
    const { x, y, k } = this.at;
    const [wide, high] = [(this.width || 1) / k, this.seen / k];
    const [left, top, allWide, allHigh] = this.bounds;
    this.svg.style.height = `${this.seen.toFixed(1)}px`;
    this.svg.setAttribute("viewBox", [x - wide / 2, y - high / 2, wide, high].map((each) => each.toFixed(2)).join(" "));
    this.scrolls.show(0, (x - wide / 2 - left) * k, this.width, allWide * k);
    this.scrolls.show(1, (y - high / 2 - top) * k, this.seen, allHigh * k);
    this.moved();
  }

  /** Follow a scroll bar. @param {number} axis 0: across, 1: down @param {number} at pixels before what is seen */
  _scroll(axis, at) {
    const { x, y, k } = this.at;
    const [left, top] = this.bounds;
    this.free = true;
    if (axis) this.go({ x, y: top + (at + this.seen / 2) / k, k }, false);
    else this.go({ x: left + (at + this.width / 2) / k, y, k }, false);
  }

  _listen() {
    /** @type {{id: number, x: number, y: number, at: Place}|null} */
    let drag = null;
    this.dragged = false;
    this.svg.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      if (event.button !== 0 || event.pointerType === "touch") return; // a finger scrolls the page
      drag = { id: event.pointerId, x: event.clientX, y: event.clientY, at: this.at };
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (!drag || event.pointerId !== drag.id) return;
      const zoom = /** @type {any} */ (this.svg).currentCSSZoom ?? 1;
      const [dx, dy] = [(event.clientX - drag.x) / zoom, (event.clientY - drag.y) / zoom];
      if (!this.dragged && Math.hypot(dx, dy) < 4) return;
      if (!this.dragged) this.svg.setPointerCapture(drag.id);
      this.dragged = this.free = true;
      this.svg.classList.add("cnb-dragged");
      this.go({ x: drag.at.x - dx / drag.at.k, y: drag.at.y - dy / drag.at.k, k: drag.at.k }, false);
    });
    const release = () => {
      drag = null;
      this.svg.classList.remove("cnb-dragged");
    };
    this.svg.addEventListener("pointerup", release);
    this.svg.addEventListener("pointercancel", release);
    this.svg.addEventListener("wheel", (event) => {
      const { x: middle, y: height, k } = this.at;
      const across = Math.abs(event.deltaX) > Math.abs(event.deltaY) && this.bounds[2] * k > this.width;
      if (!event.ctrlKey && !event.metaKey && !across) return; // a plain wheel scrolls the page
      if (across) {
        event.preventDefault();
        this.free = true;
        return this.go(this._within({ x: middle + event.deltaX / k, y: height, k }), false);
      }
      event.preventDefault();
      const box = this.svg.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      this.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 120), [x, y], false);
    }, { passive: false });
  }

  close() {
    cancelAnimationFrame(this.beat);
  }
}
