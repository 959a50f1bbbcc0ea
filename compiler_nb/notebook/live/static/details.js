// The drawer under the graph: one task as the kernel tells it, or the tasks of a stack as cells.
import { make, makeButton, makeMark, rove, say, setState } from "./dom.js";
import { cleanHtml } from "./sanitize.js";
import { DONE, RUNNING, STATES, isEnd, sayCounts, sayNumber } from "./states.js";
import { sayItems, sayRan, tallyOf } from "./store.js";

const ANSWERS_WITHIN = 300; // ms; a kernel that takes longer is busy
const MOST_CELLS = 2000;
const BUSY = "The kernel is busy. The details will appear when the cell ends.";

export class Details {
  /** @param {import("./feed.js").Feed} feed @param {(task: number) => void} select */
  constructor(feed, select) {
    this.feed = feed;
    this.root = make("section", "cnb-drawer");
    this.root.setAttribute("aria-label", "details");
    this.root.hidden = true;
    const head = make("div", "cnb-drawer-head");
    this.sign = makeMark(0);
    this.name = make("code", "cnb-drawer-name");
    this.facts = make("span", "cnb-facts");
    head.append(this.sign, this.name, this.facts, makeButton("cnb-close", "\u00d7", "Close (Esc)", () => select(-1)));
    this.cells = make("div", "cnb-cells");
    this.rest = this._rest();
    this.notes = make("div", "cnb-notes");
    this.hands = this._hands();
    this.body = make("div", "cnb-drawer-body");
    this.again = this._rerun();
    this.root.append(head, this.hands, this.again, this.cells, this.rest, this.notes, this.body);
    this.task = -1;
    /** @type {[string, number]|null} the role and the round that are shown */ this.role = null;
    /** @type {number[]} */ this.members = [];
    this.title = "";
    this.timer = 0;
    this.shown = "";
    const choose = (/** @type {Event} */ event) => {
      const cell = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[data-number]"));
      if (cell) select(Number(cell.dataset.number));
    };
    this.cells.addEventListener("click", choose);
    this.cells.addEventListener("keydown", (event) => rove(event, [...this.cells.children]));
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") select(-1);
    });
  }

  /** @param {number} task or -1 @param {number[]} [members] of a group @param {string} [title] */
  show(task, members = [], title = "") {
    const other = task !== this.task;
    Object.assign(this, { task, title, role: null });
    this.root.hidden = task < 0 && !members.length;
    this.members = members;
    this.cells.replaceChildren();
    clearTimeout(this.timer);
    if (other) this.shown = "";
    if (other) this.body.replaceChildren();
    if (other) this.value.value = "";
    if (task >= 0) this._ask();
    if (!this.root.hidden) this.update({ keys: new Set(), tasks: new Set() });
  }

  /** Show what a role was asked in a round, and what it replied. @param {string} role @param {number} round */
  showRole(role, round) {
    this.show(-1, [], "");
    this.role = [role, round];
    this.shown = "";
    this.body.replaceChildren();
    this.root.hidden = false;
    this._ask();
    this.update({ keys: new Set(), tasks: new Set() });
  }

  /** What the details are known by. @returns {number|string} */
  get key() {
    return this.role ? this.role.join(" ") : this.task;
  }

  _ask() {
    if (this.role) this.feed.send({ say: "role", role: this.role[0], round: this.role[1] });
    else this.feed.send({ say: "task", task: this.task });
    const asked = this.key;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      if (this.key === asked && !this.feed.details.has(asked)) this.body.replaceChildren(make("p", "cnb-busy", BUSY));
    }, ANSWERS_WITHIN);
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    if (this.root.hidden) return;
    const over = changes.keys.has("status") && this.task >= 0; // then it may be run again
    const again = this.role ? changes.keys.has("models") || changes.keys.has("reset") : changes.tasks.has(this.task);
    if (over || again) this._ask();
    const html = this.feed.details.get(this.key) ?? "";
    if (html && html !== this.shown) {
      this.shown = html;
      this.rerun.disabled = false;
      this.body.replaceChildren(cleanHtml(html));
    }
    this._head();
    this._cells(changes);
  }

  _head() {
    const { run } = this.feed;
    const task = run.tasks[this.task];
    this._offer();
    this.sign.style.display = task ? "" : "none";
    say(this.notes, "");
    if (this.role) {
      const [role, round] = this.role;
      say(this.name, role);
      return say(this.facts, run.rounds.length > 1 ? `round ${round + 1}` : "");
    }
    if (!task) {
      say(this.name, this.title);
      say(this.facts, `${sayNumber(this.members.length)} tasks: ${sayCounts(tallyOf(run, this.members))}`);
      return;
    }
    const { attempts } = task;
    const tries = attempts.length > 1 ? `${attempts.length} attempts` : "";
    setState(this.sign, task.state);
    say(this.name, task.id);
    const items = task.state === RUNNING ? sayItems(task) : "";
    const facts = [STATES[task.state], sayRan(task, this.feed.now()), items, tries, task.why, task.cost.join(", ")];
    say(this.facts, facts.filter(Boolean).join(" · "));
    say(this.notes, task.state === DONE ? "" : task.notes.join("\n")); // the attempts below say what went wrong before
  }

  /** @returns {HTMLElement} what a user may do to the task while the run goes on */
  _hands() {
    const send = (/** @type {string} */ word, /** @type {object} */ more = {}) =>
      this.feed.send({ say: word, task: this.task, ...more });
    const row = make("div", "cnb-hands");
    this.skip = makeButton("cnb-skip", "Skip", "Skip this task, and what depends on it", () => send("skip"));
    this.retry = makeButton("cnb-retry", "Try again", "Try this task again, and what was skipped because of it", () => send("retry"));
    this.value = /** @type {HTMLInputElement} */ (make("input", "cnb-value"));
    this.value.placeholder = 'a value: 42, "text", [1, 2]';
    this.value.setAttribute("aria-label", "the value to set, as in a plan");
    const set = () => this.value.value.trim() && send("set", { value: this.value.value });
    this.value.addEventListener("keydown", (event) => {
      event.stopPropagation(); // or the notebook takes its shortcuts
      if (event.key === "Enter") set();
    });
    this.set = makeButton("cnb-set", "Set", "Give this task the value", set);
    row.append(this.skip, this.retry, this.value, this.set);
    return row;
  }

  /** @returns {HTMLElement} what runs the plan again from the task on, when the run is over, and what that does */
  _rerun() {
    const row = make("div", "cnb-hands cnb-rerun-row");
    this.rerun = makeButton("cnb-rerun", "Rerun from here", "Run this task again, and what depends on it", () => {
      this.rerun.disabled = true; // until the kernel shows the new run, or says why not
      this.feed.send({ say: "rerun", task: this.task });
    });
    this.effect = make("span", "cnb-facts");
    row.append(this.rerun, this.effect);
    return row;
  }

  /** @returns {HTMLElement} how many items of a large fan-out are not shown, and what brings more of them */
  _rest() {
    const row = make("div", "cnb-hands cnb-rest-row");
    this.unseen = make("span", "cnb-facts");
    this.more = makeButton("cnb-more", "Show more", "Show more items of this fan-out", () => {
      this.more.disabled = true; // until they come
      this.feed.send({ say: "more", task: this.task });
    });
    row.append(this.unseen, this.more);
    return row;
  }

  /** Show what may be done to a task in its state. */
  _offer() {
    const { run, tasks } = this.feed.run;
    const state = tasks[this.task]?.state ?? DONE;
    this.hands.hidden = this.task < 0 || !this.feed.live || !run.buttons;
    this.skip.hidden = isEnd(state);
    this.retry.hidden = state < RUNNING || state === DONE;
    const effect = this.feed.live ? "" : (this.feed.again.get(this.task) ?? "");
    this.again.hidden = this.task < 0 || !effect;
    say(this.effect, effect);
  }

  /** @param {import("./store.js").Changes} changes */
  _cells(changes) {
    const { tasks } = this.feed.run;
    const members = this.task >= 0 ? (tasks[this.task]?.items ?? []) : this.members;
    const before = this.cells.childElementCount;
    const rest = tasks[this.task]?.rest ?? 0;
    const full = members.length >= MOST_CELLS;
    this.rest.hidden = !rest;
    this.more.hidden = full;
    if (members.length > before) this.more.disabled = false;
    say(this.unseen, rest ? `${sayNumber(rest)} more items${full ? "" : "; those that fail appear here"}` : "");
    for (const number of members.slice(before, MOST_CELLS)) {
      const cell = make("button", "cnb-item");
      cell.tabIndex = this.cells.childElementCount ? -1 : 0;
      cell.dataset.number = String(number);
      this.cells.append(cell);
      this._cell(cell, number);
    }
    if (before && changes.tasks.size) {
      for (const cell of this.cells.children) {
        const number = Number(/** @type {HTMLElement} */ (cell).dataset.number);
        if (changes.tasks.has(number)) this._cell(/** @type {HTMLElement} */ (cell), number);
      }
    }
    this.cells.hidden = !members.length;
  }

  /** @param {HTMLElement} cell @param {number} number */
  _cell(cell, number) {
    const task = this.feed.run.tasks[number];
    setState(cell, task.state);
    cell.title = `${task.id} · ${STATES[task.state]}`;
    cell.setAttribute("aria-label", cell.title);
  }

  tick() {
    if (!this.root.hidden) this._head();
  }

  close() {
    clearTimeout(this.timer);
  }
}
