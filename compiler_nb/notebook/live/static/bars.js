// The bars of fan-outs and groups in the graph: a cell for each of a few tasks, the states' shares of many, and a grid of
// cells at a higher zoom.
import { makeSvg, say, setState } from "./dom.js";
import { STATES, mostUrgent, sayCounts, sayNumber } from "./states.js";

const CELLS = 60;
const GRID = 2000;
const HEIGHT = 8;
const FILL = [3, 4, 5, 6, 2, 1, 0]; // states from left to right: those that have ended fill the bar

export class Bar {
  /** @param {SVGElement} root the stack's element @param {SVGElement} place its `.cnb-bar` */
  constructor(root, place) {
    this.root = root;
    this.place = place;
    this.width = Number(place.dataset.width) || 0;
    this.title = root.querySelector(":scope > title");
    this.count = root.querySelector(":scope > .cnb-count");
    this.label = root.querySelector(":scope > .cnb-id")?.textContent ?? "";
    /** @type {SVGElement[]} */ this.cells = [];
    this.drawn = -1; // members that have a cell
    this.grid = false;
  }

  /**
   * @param {import("./store.js").Run} run @param {number[]|null} members null if only their numbers are told
   * @param {number[]} tally members by state @param {boolean} closer whether cells are large enough to be seen @param {string} [count] said instead of their number
   */
  update(run, members, tally, closer, count = "") {
    const grid = closer && members !== null && members.length > CELLS && members.length <= GRID;
    const single = members && (grid || members.length <= CELLS) ? members : null;
    if (grid !== this.grid || (single ? single.length : -2) !== this.drawn) {
      this.grid = grid;
      this.drawn = single ? single.length : -2;
      this.cells = single ? _cells(run, single, this.width, grid) : [];
      if (!single) this.cells = STATES.map((name) => makeSvg("rect", { class: `cnb-cell cnb-${name}`, y: 0, height: HEIGHT }));
      this.place.replaceChildren(...this.cells);
      this.place.classList.toggle("cnb-grid", grid);
    }
    if (single) single.forEach((number, at) => setState(this.cells[at], run.tasks[number].state));
    else this._share(tally, _sum(tally));
    this._tell(tally, count);
  }

  /** @param {number[]} tally @param {number} all */
  _share(tally, all) {
    let x = 0;
    for (const state of FILL) {
      const wide = (this.width * tally[state]) / all;
      this.cells[state].setAttribute("x", x.toFixed(1));
      this.cells[state].setAttribute("width", wide ? Math.max(wide - 1, 0.8).toFixed(1) : "0");
      x += wide;
    }
  }

  /**
   * Say the number of members, how many have ended, and of a group its state.
   * @param {number[]} tally @param {string} count
   */
  _tell(tally, count) {
    const all = _sum(tally);
    const ended = tally[3] + tally[4] + tally[5] + tally[6];
    const under = ended < all && (ended > 0 || tally[2] > 0);
    const share = all < 1000 ? `${ended}/${all}` : `${Math.floor((100 * ended) / all)} %`;
    if (this.count && all) say(this.count, under ? share : count || `\u00d7 ${sayNumber(all)}`);
    if (!this.root.classList.contains("cnb-group")) return;
    setState(this.root, mostUrgent(tally));
    if (this.title) say(this.title, `${sayNumber(all)} ${this.label}: ${sayCounts(tally)}`);
    this.root.setAttribute("aria-label", `${sayNumber(all)} ${this.label}: ${sayCounts(tally)}`);
  }
}

/** @param {number[]} tally @returns {number} */
function _sum(tally) {
  return tally.reduce((sum, count) => sum + count, 0);
}

/**
 * @param {import("./store.js").Run} run @param {number[]} members @param {number} width @param {boolean} grid
 * @returns {SVGElement[]} a cell for each, in one row or in as many as make them square
 */
function _cells(run, members, width, grid) {
  const rows = grid ? Math.max(1, Math.round(Math.sqrt((members.length * HEIGHT) / width))) : 1;
  const columns = Math.ceil(members.length / rows) || 1;
  const [dx, dy] = [width / columns, HEIGHT / rows];
  const gap = grid ? 0.15 * Math.min(dx, dy) : Math.min(2, 0.3 * dx);
  return members.map((number, at) => {
    const cell = makeSvg("rect", {
      class: "cnb-cell", x: ((at % columns) * dx).toFixed(2), y: (Math.floor(at / columns) * dy).toFixed(2),
      width: (dx - gap).toFixed(2), height: (grid ? dy - gap : dy).toFixed(2), rx: Math.min(1.5, dx / 4).toFixed(2),
    });
    cell.dataset.task = run.tasks[number].id;
    const title = makeSvg("title");
    title.textContent = run.tasks[number].id;
    cell.append(title);
    return cell;
  });
}
