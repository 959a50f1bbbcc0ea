// The table of tasks: sorted by any column, with rows only for what is in sight.
import { make, makeMark, say, setState } from "./dom.js";
import { RUNNING, STATES, isEnd } from "./states.js";
import { sayItems, sayRan, sayRest, sayWaited, timesOf } from "./store.js";

/** @typedef {import("./store.js").Task} Task */

const ROW = 28;
const BLOCK = 50;
const SPARE = 6;
const SORTED_AFTER = 400; // ms between two sortings while the run goes on

/** @type {{name: string, title: string, key: (task: Task, now: number) => string|number}[]} */
const COLUMNS = [
  { name: "id", title: "task", key: (task) => task.id },
  { name: "call", title: "call", key: (task) => task.call || task.tool },
  { name: "state", title: "state", key: (task) => task.state },
  { name: "waited", title: "waited", key: (task, now) => timesOf(task, now).waited },
  { name: "time", title: "time", key: (task, now) => timesOf(task, now).ran },
  { name: "tries", title: "tries", key: (task) => task.attempts.length },
  { name: "cost", title: "cost", key: (task) => task.tokens },
  { name: "value", title: "value", key: (task) => task.value },
];

export class TablePane {
  /** @param {import("./feed.js").Feed} feed @param {(task: number) => void} select */
  constructor(feed, select) {
    this.feed = feed;
    this.select = select;
    this.root = make("div", "cnb-pane cnb-table-pane");
    this.root.setAttribute("role", "table");
    this.head = make("div", "cnb-table-head");
    this.head.setAttribute("role", "row");
    this.body = make("div", "cnb-table-body");
    this.body.tabIndex = 0;
    this.space = make("div", "cnb-table-space");
    this.body.append(this.space);
    this.more = make("div", "cnb-more-rows");
    this.root.append(this.head, this.body, this.more);
    this.column = "";
    this.down = false;
    this.shown = false;
    this.picked = -1;
    this.sortedAt = 0;
    /** @type {number[]} */ this.order = [];
    /** @type {HTMLElement[]} */ this.rows = [];
    /** @type {Map<number, string>} what was known of a block when it was asked for */ this.asked = new Map();
    for (const { name, title } of COLUMNS) this.head.append(this._header(name, title));
    this.body.addEventListener("scroll", () => this._show(), { passive: true });
  }

  /** @param {string} name @param {string} title */
  _header(name, title) {
    const cell = make("button", `cnb-column cnb-c-${name}`, title);
    cell.setAttribute("role", "columnheader");
    cell.dataset.column = name;
    cell.addEventListener("click", () => {
      this.down = this.column === name ? !this.down : false;
      this.column = name;
      for (const each of this.head.children) {
        each.setAttribute("aria-sort", each === cell ? (this.down ? "descending" : "ascending") : "none");
      }
      this._sort();
      this._show();
    });
    return cell;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.shown = shown;
    if (!shown) return;
    this._sort();
    this._show();
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    if (changes.keys.has("reset")) this.asked.clear();
    this.root.classList.toggle("cnb-costs", this.feed.run.tasks.some(({ cost }) => cost.length));
    if (!this.shown) return;
    const late = performance.now() - this.sortedAt > SORTED_AFTER || !this.feed.live;
    if (this.order.length !== this.feed.run.tasks.length || (this.column && late)) this._sort();
    this._show();
  }

  _sort() {
    const { tasks } = this.feed.run;
    this.sortedAt = performance.now();
    this.order = [...tasks.keys()];
    const column = COLUMNS.find(({ name }) => name === this.column);
    if (!column) return;
    const now = this.feed.now();
    const keys = tasks.map((task) => column.key(task, now));
    const compare = (/** @type {any} */ one, /** @type {any} */ other) => (one < other ? -1 : one > other ? 1 : 0);
    this.order.sort((one, other) => (this.down ? -1 : 1) * compare(keys[one], keys[other]) || one - other);
  }

  /** Put the rows that can be seen in their places. */
  _show() {
    if (!this.shown) return;
    const { scrollTop, clientHeight } = this.body;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const count = Math.min(this.order.length - first, Math.ceil((clientHeight || 400) / ROW) + 2 * SPARE);
    this.space.style.height = `${this.order.length * ROW}px`;
    while (this.rows.length < count) this.rows.push(this._row());
    this.rows.forEach((row, at) => {
      row.hidden = at >= count;
      if (at < count) this._fill(row, first + at);
    });
    const rest = sayRest(this.feed.run);
    say(this.more, rest && `… ${rest}: those that fail appear here; to see others, select their fan-out`);
    this._ask(this.order.slice(first, first + Math.max(count, 0)));
  }

  _row() {
    const row = make("div", "cnb-table-row");
    row.setAttribute("role", "row");
    for (const { name } of COLUMNS) {
      const cell = make("span", `cnb-c-${name}`);
      cell.setAttribute("role", "cell");
      if (name === "state") cell.append(makeMark(0), make("span"));
      row.append(cell);
    }
    row.addEventListener("click", () => this.select(Number(row.dataset.number)));
    row.addEventListener("pointerenter", () => this.feed.explain(Number(row.dataset.number)));
    this.space.append(row);
    return row;
  }

  /** @param {HTMLElement} row @param {number} place */
  _fill(row, place) {
    const task = this.feed.run.tasks[this.order[place]];
    const { attempts } = task;
    row.style.transform = `translateY(${place * ROW}px)`;
    row.dataset.number = String(task.number);
    row.classList.toggle("cnb-chosen-row", task.number === this.picked);
    const [id, call, state, waits, time, tries, cost, value] = row.children;
    say(id, task.id);
    say(call, task.call || (task.tool ? `${task.tool}(…)` : ""));
    setState(/** @type {SVGElement} */ (state.firstElementChild), task.state);
    say(/** @type {Element} */ (state.lastElementChild), STATES[task.state]);
    row.title = [task.why, task.cost.join(", ")].filter(Boolean).join(" · ");
    say(waits, sayWaited(task, this.feed.now()));
    say(time, sayRan(task, this.feed.now()));
    say(tries, attempts.length ? String(attempts.length) : "");
    say(cost, task.cost.at(-1) ?? ""); // dollars, and tokens if they are free; the title says both
    say(value, task.value || (task.state === RUNNING ? sayItems(task) : ""));
  }

  /** Ask for calls and values that are missing: once for each block, and again when all of it has ended. @param {number[]} numbers */
  _ask(numbers) {
    const { tasks } = this.feed.run;
    const lacks = (/** @type {Task} */ task) => !task.call || (!task.value && isEnd(task.state));
    for (const block of new Set(numbers.filter((each) => lacks(tasks[each])).map((each) => Math.floor(each / BLOCK)))) {
      const held = tasks.slice(block * BLOCK, (block + 1) * BLOCK);
      const known = this.feed.live ? String(held.filter((task) => isEnd(task.state)).length) : "all";
      const before = this.asked.get(block);
      const again = !this.feed.live || held.every((task) => isEnd(task.state));
      if (before === known || (before !== undefined && !again)) continue;
      this.asked.set(block, known);
      this.feed.send({ say: "rows", from: block * BLOCK, to: block * BLOCK + held.length });
    }
  }

  tick() {
    if (this.feed.live) this._show();
  }

  /** @param {number} number */
  pick(number) {
    this.picked = number;
    this._show();
  }
}
