// The link to the kernel: takes frames in order, asks for a snapshot after a gap, and tells the views once per repaint.
import { RUNNING } from "./states.js";
import { applyFrame, emptyChanges, emptyRun } from "./store.js";

/** @typedef {import("./store.js").Run} Run */
/** @typedef {import("./store.js").Changes} Changes */
/** @typedef {{get(name: string): any, on(name: string, f: any): void, off(name: string, f: any): void,
 *   send(content: any): void}} Model */

/** The keys of an answer about rows, which repeats the last frame's number. */
const ASIDE = new Set(["n", "at", "calls", "values", "took", "whys", "costs"]);

const SOON = 300; // ms between two questions about why a task waits

/** What all views of one model share. */
export class Feed {
  constructor() {
    /** @type {Run} */ this.run = emptyRun();
    /** @type {Model|null} */ this.model = null;
    this.last = -1;
    this.waits = false;
    this.offset = Infinity;
    this.changes = emptyChanges();
    this.beat = 0;
    this.explained = -SOON;
    /** @type {Set<(changes: Changes) => void>} */ this.views = new Set();
    /** @type {Map<number|string, string>} the newest details by task, or by role and round */ this.details = new Map();
    /** @type {Map<number, string>} what a rerun from a task on does, in words */ this.again = new Map();
  }

  /** @param {Model} model @returns {() => void} */
  open(model) {
    this.model = model;
    const hear = (/** @type {any} */ content) => this.hear(content ?? {});
    const look = () => this._snapshot(model.get("snapshot"));
    model.on("msg:custom", hear);
    model.on("change:snapshot", look);
    look();
    this.send({ say: "here" });
    return () => {
      model.off("msg:custom", hear);
      model.off("change:snapshot", look);
      cancelAnimationFrame(this.beat);
    };
  }

  /** Take a snapshot if it is newer than what we have, or if we asked for one. @param {any} frame */
  _snapshot(frame) {
    if (frame && typeof frame === "object" && "n" in frame && (frame.n > this.last || this.waits)) {
      this.take({ ...frame, reset: true });
    }
  }

  /** @param {Record<string, any>} content */
  hear(content) {
    if (content.frame) this.take(content.frame);
    if (typeof content.html !== "string") return;
    this.details.set(content.task, content.html);
    this.again.set(content.task, typeof content.again === "string" ? content.again : "");
    this._note("details");
  }

  /** @param {Record<string, any>} frame */
  take(frame) {
    const fresh = frame.reset || frame.n === this.last + 1;
    const aside = frame.n === this.last && !this.waits && Object.keys(frame).every((key) => ASIDE.has(key));
    if (!fresh && frame.n <= this.last && !aside) return;
    if (!frame.reset && (this.waits || !(fresh || aside))) {
      if (!this.waits) this.send({ say: "hello" });
      this.waits = true;
      return;
    }
    const before = this.run.run.id;
    this.run = applyFrame(this.run, frame, this.changes);
    if (frame.reset) this.details.clear();
    if (frame.reset) this.again.clear();
    this.last = frame.n;
    this.waits = false;
    if (this.run.run.id !== before) this.offset = Infinity;
    this.offset = Math.min(this.offset, performance.now() - this.run.at * 1000);
    this._note("frame");
  }

  /** @param {Record<string, any>} content */
  send(content) {
    this.model?.send(content);
  }

  /** Ask what a task waits for, unless the kernel says so unasked. @param {number} number */
  explain(number) {
    const task = this.run.tasks[number];
    const again = performance.now() - this.explained > SOON;
    if (!this.live || !again || !task || task.state >= RUNNING || (task.why && !task.asked)) return;
    this.explained = performance.now();
    this.send({ say: "rows", from: number, to: number + 1 });
  }

  /** Whether the clock runs. */
  get live() {
    return this.run.run.live && this.run.status === "running";
  }

  /** Milliseconds since the run began. */
  now() {
    return this.live ? Math.max(performance.now() - this.offset, 0) : this.run.at * 1000;
  }

  /** @param {(changes: Changes) => void} view @returns {() => void} */
  listen(view) {
    this.views.add(view);
    return () => this.views.delete(view);
  }

  /** @param {string} key */
  _note(key) {
    this.changes.keys.add(key);
    this.beat ||= requestAnimationFrame(() => {
      const changes = this.changes;
      this.changes = emptyChanges();
      this.beat = 0;
      for (const view of [...this.views]) view(changes);
    });
  }
}
