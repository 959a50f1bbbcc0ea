// The times of tasks in the graph: how long each has run, after how many tries, and whether it waits for its provider;
// and those of the joiner, whose boxes show whether it is still to be asked.
import { makeSvg, say, setState } from "./dom.js";
import { INSET, roomBeside } from "./names.js";
import { RUNNING, WAITING, sayClock, sayNth } from "./states.js";
import { sayRan } from "./store.js";

const TIME_LETTER = 6.4; // pixels for a letter, a little more than it needs

export class Times {
  /** @param {import("./feed.js").Feed} feed */
  constructor(feed) {
    this.feed = feed;
    /** @type {Map<number, {label: SVGElement, box: Element}>} by task */ this.all = new Map();
    /** @type {Map<number, {label: SVGElement, box: SVGElement}>} by round */ this.joiners = new Map();
  }

  /** Make a place for a task's time. @param {number} number @param {Element} box */
  add(number, box) {
    const width = Number(box.querySelector(":scope > .cnb-box")?.getAttribute("width"));
    const label = makeSvg("text", { class: "cnb-time", x: width - INSET });
    box.append(label);
    this.all.set(number, { label, box });
  }

  /** Say a task's time: beside its name, or above the box if the name leaves no room. @param {number} number */
  write(number) {
    const { label, box } = this.all.get(number) ?? {};
    if (!label || !box) return;
    const { tasks, parked } = this.feed.run;
    const { attempts } = tasks[number];
    const spent = sayRan(tasks[number], this.feed.now());
    const tries = attempts.length > 1 ? sayNth(attempts.length, "try") : "";
    const words = [tries, parked.has(number) ? "waits" : "", spent].filter(Boolean).join(" · ");
    say(label, words);
    const name = box.querySelector(":scope > .cnb-id");
    if (words) label.setAttribute("y", name && roomBeside(box, name) < TIME_LETTER * words.length + 6 ? "-5" : "20");
  }

  /** Make a place for the time of the joiner in the box of a round's end. @param {SVGElement} box */
  addJoiner(box) {
    const shape = box.querySelector(":scope > .cnb-box");
    const label = makeSvg("text", { class: "cnb-time", x: Number(shape?.getAttribute("width")) - INSET, y: 19 });
    box.append(label);
    this.joiners.set(Number(box.dataset.joiner), { label, box });
  }

  /** Say of each round's joiner whether it waits, reads, or how it ended, and how long it took. */
  writeJoiners() {
    const { models } = this.feed.run;
    for (const [number, { label, box }] of this.joiners) {
      const [, , start = 0, , , , , , took = "", state = WAITING] = models.findLast(([role, round]) => role === "joiner" && round === number) ?? [];
      setState(box, state);
      box.setAttribute("aria-label", `joiner, ${box.dataset.state}`);
      say(label, state === RUNNING ? sayClock(this.feed.now() - start) : took);
    }
  }

  /** Advance the times of running tasks. */
  tick() {
    const { tasks } = this.feed.run;
    for (const number of this.all.keys()) if (tasks[number]?.state === RUNNING) this.write(number);
    this.writeJoiners();
  }
}
