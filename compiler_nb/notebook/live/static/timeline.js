// The timeline: a row for each attempt, waiting apart from running, growing by the clock; the planner's calls above the
// tasks of each round, and the joiner's below them. Several rounds are bands with the joiner's reason as their heads.
//
// CSS variables hold the milliseconds of each bar. The clock changes two variables of the whole pane, never a bar.
import { make, say, setState } from "./dom.js";
import { STATES, RUNNING, sayNumber, sayTime } from "./states.js";
import { roundOf, sayRest } from "./store.js";

const MOST_ROWS = 400;
const TICKS = 6;
const BUDGET = 12; // ms for rows in one repaint
const FEW = 60; // rows up to which bars grow with each repaint
const PAUSE = 100; // ms between two steps of more
const LEGEND = [["wait", "waits for a slot"], ["ran", "runs"], ["lost", "failed attempt"], ["stopped", "cancelled"],
  ["think", "a model thinks"], ["write", "and writes"], ["key", "critical path"]];

/** @typedef {{root: HTMLElement, head: HTMLElement, planner: HTMLElement, tasks: HTMLElement, joiner: HTMLElement}} Band of a round */

export class TimelinePane {
  /** @param {import("./feed.js").Feed} feed @param {(task: number) => void} select @param {(role: string, round: number) => void} ask */
  constructor(feed, select, ask) {
    this.ask = ask;
    this.feed = feed;
    this.root = make("div", "cnb-pane cnb-timeline-pane");
    this.words = make("div", "cnb-times");
    this.axis = make("div", "cnb-axis");
    this.rows = make("div", "cnb-rows");
    this.more = make("div", "cnb-more-rows");
    this.legend = make("div", "cnb-legend");
    for (const [kind, words] of LEGEND) {
      const entry = make("span", "cnb-sample", words);
      entry.prepend(make("i", `cnb-is-${kind}`));
      entry.dataset.kind = kind;
      this.legend.append(entry);
    }
    this.root.append(this.axis, this.rows, this.more, this.words, this.legend);
    this.shown = false;
    this.stale = this.asked = true;
    this.beat = this.flow = 0;
    /** @type {Set<number>} */ this.changed = new Set();
    this.rows.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[data-number]"));
      if (row) select(Number(row.dataset.number));
    });
    this._clear();
  }

  _clear() {
    this.run = this.feed.run;
    /** @type {Map<string, HTMLElement>} rows by task and attempt */ this.made = new Map();
    /** @type {Band[]} */ this.bands = [];
    /** @type {Set<string>} kinds of the legend that have been seen */ this.kinds = new Set();
    this.hidden = new Set();
    this.step = 0;
    this.ticked = -PAUSE;
    this.picked = -1;
    this.rows.replaceChildren();
    this.axis.replaceChildren();
    this.stale = true;
  }

  /** @param {boolean} shown */
  show(shown) {
    this.shown = shown;
    if (shown) this._draw();
    this._flow();
  }

  /** Let bars grow with each repaint while the pane is shown. */
  _flow() {
    cancelAnimationFrame(this.flow);
    this.flow = 0;
    if (!this.shown || !this.feed.live) return;
    this.tick(false);
    this.flow = requestAnimationFrame(() => this._flow());
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    if (this.feed.run !== this.run) this._clear();
    for (const number of changes.tasks) this.changed.add(number);
    if (changes.keys.has("critical") || changes.keys.has("times")) this.stale = true;
    if (changes.keys.has("models") || changes.keys.has("rounds")) this.asked = true;
    if (this.shown) this._draw();
    if (!this.flow) this._flow();
  }

  /** Draw what changed; if that is much, draw the rest at the next repaints. */
  _draw() {
    cancelAnimationFrame(this.beat);
    if (this.stale) this.changed = new Set(this.run.tasks.keys());
    if (this.stale || this.asked) this._models();
    this.stale = this.asked = false;
    const until = performance.now() + BUDGET;
    for (const number of [...this.changed].sort((one, other) => one - other)) {
      if (performance.now() > until) break;
      if (this.run.tasks[number]) this._task(number);
      this.changed.delete(number);
    }
    if (this.changed.size) this.beat = requestAnimationFrame(() => this._draw());
    const more = [this.hidden.size ? `${sayNumber(this.hidden.size)} more` : "", sayRest(this.run)].filter(Boolean);
    say(this.more, more.length ? `… ${more.join(" and ")}` : "");
    say(this.words, this.run.times);
    this._explain();
    this.tick(!this.feed.live);
  }

  /** @param {number} number */
  _task(number) {
    const task = this.run.tasks[number];
    if (task.source >= 0 && !task.attempts.length) this._adopted(number);
    task.attempts.forEach((attempt, at) => {
      const key = `${number}.${at}`;
      let row = this.made.get(key);
      if (!row && this.made.size >= MOST_ROWS) {
        this.hidden.add(key);
        return;
      }
      if (!row) this.made.set(key, (row = this._row(number, at)));
      const cost = attempt === task.attempts.at(-1) ? task.cost.join(", ") : ""; // all attempts have one
      const [, ran, each = [ran]] = task.took ?? [];
      const took = attempt.end === null ? "" : (each[at] ?? sayTime(attempt.end - attempt.start));
      this._fill(row, attempt, took, this.run.critical.has(number), attempt.end === null ? task.why : "", cost);
    });
  }

  /** Draw the row of a task that has the result of another one: a pale link to it. @param {number} number */
  _adopted(number) {
    const key = `${number}.`;
    if (this.made.has(key) || this.made.size >= MOST_ROWS) return;
    const { source } = this.run.tasks[number];
    const { id, attempts } = this.run.tasks[source];
    const row = this._row(number, 0);
    const words = make("span", "cnb-source-of", `\u2191 ${id}`);
    words.style.setProperty("--end", String(attempts.at(-1)?.end ?? 0));
    row.lastElementChild?.replaceChildren(words);
    row.title = `has the result of ${id}`;
    this.made.set(key, row);
  }

  /** @param {number} number @param {number} at the attempt, from 0 */
  _row(number, at) {
    const row = make("div", "cnb-row");
    const track = make("span", "cnb-track");
    track.append(make("i", "cnb-wait"), make("i", "cnb-ran"), make("span", "cnb-took"));
    row.dataset.number = String(number);
    row.append(make("span", "cnb-who", this.run.tasks[number].id + (at ? ` · try ${at + 1}` : "")), track);
    row.classList.toggle("cnb-chosen-row", number === this.picked);
    this._band(roundOf(this.run, number)).tasks.append(row);
    return row;
  }

  /** @param {number} number @returns {Band} the band of a round, which is made if there is none */
  _band(number) {
    while (this.bands.length <= number) {
      const part = (/** @type {string} */ kind) => make("div", kind);
      const band = { root: part("cnb-band"), head: part("cnb-band-head"), planner: part("cnb-band-part"),
        tasks: part("cnb-band-part"), joiner: part("cnb-band-part") };
      band.root.dataset.round = String(this.bands.length + 1);
      band.root.append(band.head, band.planner, band.tasks, band.joiner);
      this.bands.push(band);
      this.rows.append(band.root);
    }
    return this.bands[number];
  }

  /** Draw the calls of the planner and the joiner, and the heads of the bands. */
  _models() {
    const { models, rounds } = this.run;
    const count = Math.max(rounds.length, ...models.map(([, round]) => round + 1), 1);
    for (let number = 0; number < count; number += 1) {
      const band = this._band(number);
      const reason = rounds[number]?.[1] ?? "";
      say(band.head, count > 1 ? `Round ${number + 1}${reason ? `: ${reason}` : ""}` : "");
      band.head.title = reason;
      for (const role of /** @type {const} */ (["planner", "joiner"])) {
        const calls = models.filter(([who, round]) => who === role && round === number);
        if (calls.length) this._asked(band[role], role, calls);
      }
    }
  }

  /** @param {HTMLElement} place @param {string} role @param {import("./store.js").Asked[]} calls */
  _asked(place, role, calls) {
    const row = make("div", "cnb-row cnb-model");
    const track = make("span", "cnb-track");
    for (const [, , start, first, end, until] of calls) {
      const bars = make("span", "cnb-asked");
      const put = (/** @type {string} */ kind, /** @type {number} */ from, /** @type {number} */ to) => {
        const bar = make("i", kind);
        bar.style.setProperty("--start", String(from));
        if (to >= 0) bar.style.setProperty("--end", String(to));
        else bar.classList.add("cnb-goes-on");
        bars.append(bar);
      };
      put("cnb-think", start, first < 0 ? end : first);
      if (first >= 0) put("cnb-write", first, end);
      if (until >= 0) put("cnb-kept", start, until);
      if (until >= 0) row.classList.add("cnb-critical");
      track.append(bars);
      this.kinds.add("think");
      if (first >= 0) this.kinds.add("write");
    }
    const [, , , , last, , written = "", , took = ""] = calls[calls.length - 1];
    if (took) {
      const words = make("span", "cnb-took", took);
      words.style.setProperty("--end", String(last));
      track.append(words);
    }
    const spent = calls.map(([, , , , , , , words = ""]) => words).filter(Boolean).join(" + ");
    row.title = [took ? `${role}: ${took}` : role, spent, written].filter(Boolean).join(", ");
    const round = calls[0][1];
    row.addEventListener("click", () => this.ask(role, round));
    row.append(make("span", "cnb-who", role), track);
    place.replaceChildren(row);
  }

  /** Show what the legend says of the bars that there are. */
  _explain() {
    if (this.run.critical.size || this.run.models.some(([, , , , , until]) => until >= 0)) this.kinds.add("key");
    for (const entry of this.legend.children) {
      const { kind = "" } = /** @type {HTMLElement} */ (entry).dataset;
      /** @type {HTMLElement} */ (entry).hidden = !this.kinds.has(kind);
    }
  }

  /** @param {HTMLElement} row @param {import("./store.js").Attempt} attempt @param {string} took @param {boolean} critical @param {string} why it waits @param {string} cost */
  _fill(row, { ready, start, end, state }, took, critical, why, cost) {
    setState(/** @type {HTMLElement} */ (row.lastElementChild), state);
    row.style.setProperty("--ready", String(ready));
    row.style.setProperty("--start", String(start));
    if (end !== null) row.style.setProperty("--end", String(end));
    row.classList.toggle("cnb-critical", critical);
    row.classList.toggle("cnb-open", state === RUNNING);
    row.classList.toggle("cnb-parked", why !== "");
    const waited = start - ready;
    if (waited >= 1) this.kinds.add("wait");
    this.kinds.add({ failed: "lost", cancelled: "stopped" }[STATES[state]] ?? "ran");
    say(/** @type {Element} */ (row.lastElementChild?.lastElementChild), took);
    const facts = [`waited ${sayTime(waited)}`, took && `ran ${took}`, critical && "on the critical path", why, cost];
    row.title = facts.filter(Boolean).join(", ");
  }

  /** Move the clock's variables; with many rows not at each repaint, because each would be styled anew. @param {boolean} [must] */
  tick(must = true) {
    const now = this.feed.now();
    if (!this.shown || (!must && this.made.size > FEW && now - this.ticked < PAUSE)) return;
    this.ticked = now;
    const span = Math.max(now, 50) * 1.02;
    this.root.style.setProperty("--now", now.toFixed(0));
    this.root.style.setProperty("--span", span.toFixed(0));
    const step = _roundStep(span / TICKS);
    if (step !== this.step || this.axis.childElementCount < Math.floor(span / step) + 1) this._ticks(step, span);
  }

  /** @param {number} step @param {number} span */
  _ticks(step, span) {
    this.step = step;
    const ticks = [];
    for (let at = 0; at <= span; at += step) {
      const tick = make("span", "cnb-tick-at", at ? sayTime(at) : "0");
      tick.style.setProperty("--at", String(at));
      ticks.push(tick);
    }
    this.axis.replaceChildren(...ticks);
  }

  close() {
    cancelAnimationFrame(this.beat);
    cancelAnimationFrame(this.flow);
  }

  /** @param {number} number */
  pick(number) {
    this.picked = number;
    for (const row of this.made.values()) row.classList.toggle("cnb-chosen-row", row.dataset.number === String(number));
  }
}

/** @param {number} least @returns {number} the next of 1, 2, 5, 10, 20, 50, ... */
function _roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((each) => each * power >= least) ?? 10);
}
