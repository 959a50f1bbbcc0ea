// The head of the view: question, phase, clock and buttons, and a bar for each task that waits for approval.
import { make, makeButton, makeMark, say, setState } from "./dom.js";
import { isEnd, sayClock, sayCounts, sayNumber } from "./states.js";

/** @typedef {import("./feed.js").Feed} Feed */

const SIGNS = { running: 2, done: 3, failed: 4, cancelled: 6, limit: 4 };
const MOST_ASKED = 5;

export class Header {
  /** @param {Feed} feed */
  constructor(feed) {
    this.feed = feed;
    this.root = make("header", "cnb-head");
    this.question = make("div", "cnb-question");
    const line = make("div", "cnb-status");
    this.sign = makeMark(2);
    this.phase = make("span", "cnb-phase");
    this.phase.setAttribute("role", "status");
    this.waits = make("span", "cnb-waits"); // apart from the phase, which is read aloud whenever it changes
    this.clock = make("span", "cnb-clock");
    this.facts = make("span", "cnb-facts");
    this.buttons = make("span", "cnb-buttons");
    this.pause = makeButton("cnb-pause", "Pause", "Pause: start no new task", () => this._press(this.pause));
    this.stop = makeButton("cnb-stop", "Stop", "Stop the run", () => this._press(this.stop));
    this.advice = make("span", "cnb-advice", "interrupt the kernel to stop the run");
    this.buttons.append(this.pause, this.stop);
    line.append(this.sign, this.phase, this.waits, this.clock, this.facts, this.advice, this.buttons);
    this.root.append(this.question, line);
  }

  /** Tell the kernel what was pressed, and wait for the kernel's next frame. @param {HTMLButtonElement} button */
  _press(button) {
    button.disabled = true;
    this.feed.send({ say: button === this.stop ? "stop" : this.feed.run.paused ? "resume" : "pause" });
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    const { run, status, phase, paused, usage, counted } = this.feed.run;
    const live = this.feed.live;
    say(this.question, run.question);
    setState(this.sign, paused && live ? 1 : (SIGNS[status] ?? 2));
    this.sign.classList.toggle("cnb-pulse", live && !paused);
    say(this.phase, phase);
    const [tally, failed, items] = counted;
    const all = tally.reduce((sum, count) => sum + count, 0);
    const ended = tally.reduce((sum, count, state) => sum + (isEnd(state) ? count : 0), 0);
    const facts = [];
    if (all) facts.push(`${ended < all ? `${sayNumber(ended)} of ` : ""}${_plural(all, "task")}`);
    if (failed) facts.push(`${sayNumber(failed)} failed`);
    if (items) facts.push(`${_plural(items, "item")} failed`);
    if (run.where) facts.push(run.where);
    facts.push(...usage.words);
    if (usage.calls) facts.push(_plural(usage.calls, "model call"));
    say(this.facts, facts.join(" · "));
    this.facts.title = [sayCounts(tally), usage.shares].filter(Boolean).join("\n");
    this.buttons.hidden = !(live && run.buttons);
    this.advice.hidden = !live || run.buttons;
    if (changes.keys.has("frame")) this.pause.disabled = this.stop.disabled = false;
    say(this.pause, paused ? "Resume" : "Pause");
    this.pause.title = paused ? "Resume: start tasks again" : "Pause: start no new task";
    this.pause.setAttribute("aria-label", this.pause.title);
    this.tick();
  }

  tick() {
    const told = this.feed.run.waits.map((wait) => _sayWait(wait, this.feed.now()));
    say(this.waits, this.feed.live ? told.join(", ") : "");
    say(this.clock, sayClock(this.feed.now()));
  }
}

/** The bars of tasks that wait for approval. */
export class Asks {
  /** @param {Feed} feed @param {(task: number) => void} select */
  constructor(feed, select) {
    this.feed = feed;
    this.select = select;
    this.root = make("div", "cnb-asks");
    /** @type {Map<number, HTMLElement>} */ this.bars = new Map();
    this.more = make("div", "cnb-asks-more");
    this.root.append(this.more);
  }

  update() {
    const { held, run, tasks } = this.feed.run;
    const asked = [...held].filter(([number, { reason }]) => reason === "approval" && tasks[number]);
    asked.sort(([one], [other]) => one - other); // they begin in the plan's order, whichever is approved first
    const shown = new Map(this.feed.live ? asked.slice(0, MOST_ASKED) : []);
    for (const [number, bar] of this.bars) {
      const { words = "", mark = "" } = shown.get(number) ?? {};
      const stays = shown.has(number) && words === bar.dataset.words && mark === bar.dataset.mark;
      if (stays && run.buttons === (bar.dataset.buttons === "true")) continue;
      bar.remove();
      this.bars.delete(number);
    }
    /** @type {HTMLElement} */ let next = this.more;
    for (const [number, { words, mark, note, turn }] of [...shown].reverse()) {
      // a bar that is replaced or moved would lose a click in progress
      const bar = this.bars.get(number) ?? this.root.insertBefore(this._bar(number, words, mark, note), next);
      this.bars.set(number, bar);
      say(/** @type {HTMLElement} */ (bar.querySelector(".cnb-ask-turn")), turn && `starts after ${turn}`);
      next = bar;
    }
    const rest = this.feed.live ? asked.length - shown.size : 0;
    this.more.hidden = rest <= 0;
    say(this.more, `${sayNumber(rest)} more wait for approval`);
    this.root.hidden = !shown.size;
  }

  /**
   * @param {number} number @param {string} words the arguments @param {string} mark their digest, which an answer names
   * @param {string} note how it ends if it is done already, "" if it is new
   */
  _bar(number, words, mark, note) {
    const { tasks, run } = this.feed.run;
    const bar = make("div", "cnb-ask");
    Object.assign(bar.dataset, { words, mark, buttons: run.buttons, ask: tasks[number].id });
    const what = make("code", "cnb-ask-call", tasks[number].tool ? `${tasks[number].tool}(${words})` : words);
    what.addEventListener("click", () => this.select(number));
    const name = tasks[number].id;
    const answer = (/** @type {string} */ word) => {
      for (const button of bar.querySelectorAll("button")) button.disabled = true;
      this.feed.send({ say: word, task: number, mark });
    };
    bar.append(makeMark(1), make("b", "cnb-ask-name", name), make("span", "cnb-ask-kind", "side effect"), what, make("span", "cnb-ask-turn"));
    if (note) bar.append(make("span", "cnb-ask-note", note));
    if (run.buttons) {
      bar.append(
        makeButton("cnb-approve", "Approve", `Approve ${name}`, () => answer("approve")),
        ...(note ? [makeButton("cnb-again", "Again", `Make ${name} again`, () => answer("again"))] : []),
        makeButton("cnb-deny", "Deny", `Deny ${name}`, () => answer("deny")),
      );
    } else bar.append(make("span", "cnb-advice", "answer below the cell"));
    return bar;
  }
}

/** @param {number} count @param {string} word */
function _plural(count, word) {
  return `${sayNumber(count)} ${word}${count === 1 ? "" : "s"}`;
}

/**
 * @param {[string, number, number]} wait @param {number} now in ms
 * @returns {string} "waits for openai: asked for 45 s, 38 s left"
 */
function _sayWait([who, asked, until], now) {
  const left = _saySeconds(Math.max(0, until - now) / 1000);
  return asked ? `${who}: asked for ${_saySeconds(asked)}, ${left} left` : `${who}: tries again in ${left}`;
}

/** @param {number} seconds @returns {string} "45 s", "2.5 s" */
function _saySeconds(seconds) {
  return seconds >= 10 || seconds % 1 === 0 ? `${sayNumber(seconds)} s` : `${seconds.toFixed(1)} s`;
}
