// The scroll bars of a picture of which a part is seen: the browser's own, beside the picture, so that they look and act
// as everywhere. The picture itself does not scroll, because a wheel over it scrolls the page.
import { make } from "./dom.js";

export class Scrolls {
  /** @param {(axis: number, at: number) => void} moved by the user, along an axis (0: across, 1: down), to so many pixels */
  constructor(moved) {
    this.bars = ["cnb-across", "cnb-down"].map((kind, axis) => {
      const bar = make("div", `cnb-scroll ${kind}`);
      bar.tabIndex = -1; // keys move within the picture
      bar.setAttribute("aria-hidden", "true");
      bar.append(make("i"));
      bar.hidden = true;
      bar.addEventListener("scroll", () => {
        const at = axis ? bar.scrollTop : bar.scrollLeft;
        if (Math.abs(at - this.told[axis]) < 2) return; // it was told to be there
        this.told[axis] = at;
        moved(axis, at);
      }, { passive: true });
      return bar;
    });
    this.told = [0, 0]; // where they are, in pixels
  }

  /** Say which part is seen. @param {number} axis @param {number} from @param {number} seen @param {number} whole in pixels */
  show(axis, from, seen, whole) {
    const bar = this.bars[axis];
    bar.hidden = whole < seen + 2;
    if (bar.hidden) return;
    /** @type {HTMLElement} */ (bar.firstElementChild).style.setProperty("--size", `${whole.toFixed(0)}px`);
    this.told[axis] = Math.round(Math.min(Math.max(from, 0), whole - seen));
    if (axis) bar.scrollTop = this.told[axis];
    else bar.scrollLeft = this.told[axis];
  }
}
