// The plan's text as it streams: numbered lines, the marks of their tasks, and problems in words.
import { Chunk, LINES } from "./chunk.js";
import { make, makeButton, say } from "./dom.js";

/** @typedef {import("./store.js").Section} Section */
/** @typedef {{root: HTMLElement, title: HTMLElement, written: HTMLElement, chunks: Chunk[], count: number, length: number, due: boolean,
 *   problems: number}} Part `due`: whether the next letter starts a line */

const NEAR_END = 28; // pixels: nearer to the end than this, the pane scrolls with the text
const AHEAD = "600px 0px";

export class PlanPane {
  /** @param {import("./feed.js").Feed} feed @param {(task: number) => void} select @param {(role: string, round: number) => void} ask */
  constructor(feed, select, ask) {
    this.feed = feed;
    this.ask = ask;
    this.root = make("div", "cnb-plan");
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "region");
    this.root.setAttribute("aria-label", "the plan's text");
    this.inner = make("div", "cnb-plan-inner");
    this.root.append(this.inner);
    this.caret = make("span", "cnb-caret");
    /** @type {Map<Element, Chunk>} */ this.chunkOf = new Map();
    this.sight = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) this.chunkOf.get(target)?.see(isIntersecting, this.run);
    }, { root: this.root, rootMargin: AHEAD });
    this._clear();
    this.root.addEventListener("scroll", () => {
      this.follows = this.root.scrollHeight - this.root.scrollTop - this.root.clientHeight < NEAR_END;
    }, { passive: true });
    this.root.addEventListener("click", (event) => {
      const line = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[data-line]"));
      const tasks = line && this.feed.run.lines.get(/** @type {string} */ (line.dataset.line));
      if (tasks && !String(document.getSelection())) select(tasks[tasks.length - 1]);
    });
  }

  _clear() {
    this.run = this.feed.run;
    this.follows = true;
    this.seen = 0;
    /** @type {Part[]} */ this.parts = [];
    this.chunkOf.clear();
    this.sight.disconnect();
    this.inner.replaceChildren();
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    const { run } = this.feed;
    if (run !== this.run) this._clear();
    run.sections.forEach((section, number) => this._grow(section, number));
    const stale = new Set(changes.tasks);
    for (; this.seen < run.tasks.length; this.seen += 1) stale.add(this.seen);
    for (const number of stale) {
      const task = run.tasks[number];
      if (task) this._chunkAt(task.section, task.line)?.mark(task.line, run);
    }
    this._caret();
    // a plan that comes whole is read from its beginning, but not one after another
    if (changes.keys.has("text")) this.follow();
  }

  /** Show the end of what is written, unless the user has scrolled away from it. */
  follow() {
    const { sections } = this.run;
    const streams = this.feed.live && (sections.length > 1 || sections.some((section) => !section.closed));
    if (streams && this.follows) this.root.scrollTop = this.root.scrollHeight;
  }

  /** @param {number} section @param {number} line from 1 @returns {Chunk|undefined} */
  _chunkAt(section, line) {
    return this.parts[section]?.chunks[Math.floor((line - 1) / LINES)];
  }

  /** @param {Section} section @param {number} number */
  _grow(section, number) {
    const part = (this.parts[number] ??= this._part(section));
    const title = _titleOf(section);
    say(part.title, title);
    say(part.written, section.written && ` · ${section.written}`);
    const more = section.text.slice(part.length);
    if (more) {
      part.length = section.text.length;
      more.split("\n").forEach((piece, at) => {
        if (at && part.due) this._line(part, number);
        part.due ||= at > 0;
        if (!piece) return;
        if (part.due) this._line(part, number);
        part.due = false;
        part.chunks[part.chunks.length - 1].write(piece);
      });
      part.chunks[part.chunks.length - 1]?.see(true, this.run);
    }
    for (; part.problems < section.problems.length; part.problems += 1) {
      const problem = section.problems[part.problems];
      const line = Math.max(1, Math.min(problem.line, part.count));
      if (!part.count) this._line(part, number);
      this._chunkAt(number, line)?.tell({ ...problem, line });
    }
  }

  /** @param {Section} section @returns {Part} */
  _part({ round }) {
    const root = make("section", "cnb-part");
    const [title, written] = [make("span"), make("span", "cnb-written")];
    const head = makeButton("cnb-part-title", "", "What the planner was asked, and its reply", () => this.ask("planner", round));
    head.removeAttribute("aria-label");
    head.append(title, written);
    root.append(head);
    this.inner.append(root);
    return { root, title, written, chunks: [], count: 0, length: 0, due: true, problems: 0 };
  }

  /** @param {Part} part @param {number} section */
  _line(part, section) {
    if (part.count % LINES === 0) {
      const chunk = new Chunk(section, part.count);
      part.chunks.push(chunk);
      part.root.append(chunk.root);
      this.chunkOf.set(chunk.root, chunk);
      this.sight.observe(chunk.root);
    }
    part.count += 1;
    part.chunks[part.chunks.length - 1].add();
  }

  /** Put the caret after the last letter that has come. */
  _caret() {
    const number = this.run.sections.findLastIndex((section) => !section.closed);
    const chunks = this.parts[number]?.chunks ?? [];
    const last = chunks[chunks.length - 1]?.rows.at(-1);
    if (!this.feed.live || (number < 0 && this.run.sections.length)) this.caret.remove();
    else if (!last) this.inner.append(this.caret);
    else if (this.caret.parentNode !== last) last.append(this.caret);
  }

  /** @param {number} number the selected task, or -1 */
  pick(number) {
    this.inner.querySelector(".cnb-picked-line")?.classList.remove("cnb-picked-line");
    const task = this.run.tasks[number];
    const chunk = task && this._chunkAt(task.section, task.line);
    chunk?.see(true, this.run);
    const row = chunk?.lineAt(task.line);
    if (!row) return;
    row.classList.add("cnb-picked-line");
    const top = row.getBoundingClientRect().top - this.root.getBoundingClientRect().top;
    if (top < 0 || top > this.root.clientHeight - 20) this.root.scrollTop += top - this.root.clientHeight / 2;
  }

  close() {
    this.sight.disconnect();
  }
}

/** @param {Section} section */
function _titleOf({ round, role, reason }) {
  const name = role === "repair" ? "Repair" : round > 0 ? `Round ${round + 1}` : "Plan";
  return reason ? `${name}: ${reason}` : name;
}
