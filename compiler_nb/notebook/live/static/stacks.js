// The stacks of a picture: fan-outs and groups, each with a bar for its tasks.
import { Bar } from "./bars.js";
import { tallyOf } from "./store.js";

/** @typedef {import("./store.js").Run} Run */
/** @typedef {{bar: Bar, root: SVGElement, fanout: number, members: number[]}} Stack `fanout` is -1 for a group */

export class Stacks {
  /** @param {SVGSVGElement} svg what is seen of the picture */
  constructor(svg) {
    this.svg = svg;
    /** @type {Stack[]} */ this.all = [];
    /** @type {Map<number, Stack>} by member of a group, or a fan-out's number */ this.by = new Map();
    /** @type {Run|null} */ this.run = null;
    this.closer = false;
    this.known = -1; // tasks when all were last filled
  }

  /** @param {Element} root @param {Element} place its `.cnb-bar` @param {number} fanout @param {number[]} members */
  add(root, place, fanout, members) {
    const element = /** @type {SVGElement} */ (root);
    const stack = { bar: new Bar(element, /** @type {SVGElement} */ (place)), root: element, fanout, members };
    this.all = [...this.all.filter((each) => each.fanout < 0 || each.fanout !== fanout), stack];
    for (const number of fanout < 0 ? members : [fanout]) this.by.set(number, stack);
    this.known = -1;
  }

  /** @param {number} number a task @returns {Stack|undefined} what shows it, if it is a stack */
  of(number) {
    return this.by.get(number);
  }

  /** @param {import("./store.js").Changes} changes @param {Run} run */
  update(changes, run) {
    this.run = run;
    const grown = run.tasks.length !== this.known;
    this.known = run.tasks.length;
    const stale = new Set();
    for (const number of changes.tasks) {
      const owner = run.tasks[number]?.owner ?? -1;
      stale.add(this.by.get(owner >= 0 ? owner : number));
    }
    for (const stack of this.all) if (grown || stale.has(stack)) this._fill(stack);
  }

  /** After a move: stacks of many show more or less. @param {boolean} closer whether single tasks can be seen */
  look(closer) {
    const before = this.closer;
    this.closer = closer;
    if (closer || before) for (const stack of this.all) this._fill(stack);
  }

  /** @param {Stack} stack */
  _fill(stack) {
    if (!this.run) return;
    const task = this.run.tasks[stack.fanout];
    const members = task ? task.items : stack.members;
    const tally = task ? task.tally : tallyOf(this.run, members);
    const closer = this.closer && this._seen(stack.root);
    stack.bar.update(this.run, task?.rest ? null : members, tally, closer, task?.count);
  }

  /** @param {Element} element */
  _seen(element) {
    const [box, all] = [element.getBoundingClientRect(), this.svg.getBoundingClientRect()];
    return box.right > all.left && box.left < all.right && box.bottom > all.top && box.top < all.bottom;
  }
}
