// The graph: pictures and boxes from the kernel, patched in place as states change.
import { Camera } from "./camera.js";
import { make, makeButton, makeSvg, rove, say, setState } from "./dom.js";
import { MOST_GLIDES, glide, middleOf, placesOf } from "./glide.js";
import { Names, measure } from "./names.js";
import { cleanSvg } from "./sanitize.js";
import { Stacks } from "./stacks.js";
import { RUNNING, STATES } from "./states.js";
import { sayItems } from "./store.js";
import { Times } from "./times.js";

const CLOSE = 2; // zoom from which on stacks of many show each task

export class GraphPane {
  /**
   * @param {import("./feed.js").Feed} feed
   * @param {{select(task: number): void, ask(role: string, round: number): void, open(tasks: number[], title: string): void}} view
   */
  constructor(feed, view) {
    this.feed = feed;
    this.view = view;
    /** @type {[number[], number[]]} what is selected, and near it */ this.picks = [[], []];
    this.root = make("div", "cnb-pane cnb-graph-pane");
    const about = { class: "cnb cnb-graph", role: "group", "aria-label": "the plan as a graph" };
    this.svg = /** @type {SVGSVGElement} */ (makeSvg("svg", about));
    this.edges = makeSvg("g", { class: "cnb-edges" });
    this.heads = makeSvg("g"); // of rounds: arrows pass behind their words
    this.stage = makeSvg("g", { class: "cnb-stage" });
    this.svg.append(this.edges, this.heads, this.stage);
    this.empty = make("div", "cnb-empty");
    this.camera = new Camera(this.svg, () => this._look());
    this.tools = make("div", "cnb-zoom");
    this.tools.append(
      makeButton("cnb-zoom-out", "\u2212", "Zoom out (-)", () => this.camera.zoom(1 / 1.4)),
      makeButton("cnb-zoom-fit", "Fit", "Show all (0)", () => this.camera.fit(true, true, true)),
      makeButton("cnb-zoom-in", "+", "Zoom in (+)", () => this.camera.zoom(1.4)),
    );
    this.root.append(this.svg, ...this.camera.scrolls.bars, this.empty);
    this.svg.addEventListener("click", (event) => this._click(event));
    this.svg.addEventListener("keydown", (event) => this._key(event));
    this.svg.addEventListener("pointerover", (event) => this._explain(/** @type {Element} */ (event.target)));
    this.svg.addEventListener("focusin", (event) => {
      const box = /** @type {Element} */ (event.target).getBoundingClientRect();
      if (!this.camera.dragged) this.camera.reveal(box, this.svg.getBoundingClientRect());
    });
    this.looks = 0;
    this._clear();
  }

  _clear() {
    this.run = this.feed.run;
    this.picture = null;
    this.drawn = { boxes: 0, edges: 0 };
    this.bounds = "";
    this._forget();
  }

  _forget() {
    this.stage.replaceChildren();
    this.edges.replaceChildren();
    this.heads.replaceChildren();
    /** @type {Map<number, SVGElement>} */ this.boxes = new Map();
    /** @type {Map<number, SVGElement>} guarded calls, drawn as cells in the boxes of their lines */ this.cells = new Map();
    this.stacks = new Stacks(this.svg);
    this.times = new Times(this.feed);
    this.names = new Names(this.svg);
    /** @type {Element[]} */ this.stops = [];
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    const { run } = this.feed;
    const again = run !== this.run;
    if (again) this._clear();
    if (run.picture !== this.picture) this._swap(!again && !changes.keys.has("reset"));
    const come = this._grow(!again);
    const first = !this.bounds && !this.picture;
    if (run.bounds && String(run.bounds) !== this.bounds) {
      this.bounds = String(run.bounds);
      this.camera.frame(run.bounds, !again && !first);
    }
    if (come) this.camera.follow([middleOf(come)], false);
    for (const number of changes.tasks) this._patch(number);
    if (changes.keys.has("models") || changes.keys.has("status")) this.times.writeJoiners();
    this.stacks.update(changes, this.run);
    this._hint();
  }

  /** Say what the planner may call while there is nothing to draw. */
  _hint() {
    const nothing = !this.stage.childElementCount;
    this.empty.hidden = !nothing;
    this.svg.style.display = nothing ? "none" : "";
    this.tools.style.visibility = nothing ? "hidden" : "";
    const { tools } = this.run.run;
    if (!nothing || this.empty.childElementCount === Math.min(tools.length, 40) + 1) return;
    const words = tools.length ? (this.feed.live ? "the planner may call" : "tools") : "no tasks";
    const names = tools.slice(0, 40).map((name) => make("code", "cnb-tool", name));
    this.empty.replaceChildren(make("span", "cnb-empty-words", words), ...names);
  }

  // ------------------------------------------------------------- pictures

  /** Replace all by a whole picture; boxes that were there glide to their new places. @param {boolean} moves */
  _swap(moves) {
    const before = placesOf(this.boxes);
    this._forget();
    this.picture = this.run.picture;
    this.drawn = { boxes: 0, edges: 0 };
    this.bounds = "";
    const svg = cleanSvg([this.picture?.svg ?? ""]).firstElementChild;
    if (!svg) return;
    for (const child of [...svg.children]) {
      if (child.classList.contains("cnb-heads")) this.heads.append(child);
      else if (child.localName === "path" || child.classList.contains("cnb-band")) this.edges.append(child);
      else if (child.localName === "g") this.stage.append(child);
    }
    this._reindex();
    const bounds = (svg.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
    const eases = moves && this.boxes.size <= MOST_GLIDES;
    const shift = eases && !this.camera.still.matches ? glide(this.boxes, before) : null;
    if (shift) {
      const { x, y, k } = this.camera.at;
      this.camera.go({ x: x + shift.x, y: y + shift.y, k }, false); // so that the boxes seem to stay where they are
    }
    for (const edge of eases ? this.edges.children : []) edge.classList.add("cnb-fresh");
    for (const [number, box] of eases ? this.boxes : []) if (!before.has(number)) box.classList.add("cnb-fresh");
    if (bounds.length === 4 && bounds.every(Number.isFinite)) this.camera.frame(bounds, shift !== null);
  }

  /** Add the boxes and arrows that have come. @param {boolean} fresh whether they fade in @returns {SVGElement|undefined} the last box */
  _grow(fresh) {
    const { boxes, edges } = this.run;
    const [box, edge] = [this.drawn.boxes, this.drawn.edges];
    this.drawn = { boxes: boxes.length, edges: edges.length };
    if (edge < edges.length) {
      const come = _fresh(cleanSvg(edges.slice(edge)), fresh);
      this.heads.append(...come.querySelectorAll(".cnb-heads"));
      this.edges.append(come);
    }
    if (box === boxes.length) return undefined;
    this.stage.append(_fresh(cleanSvg(boxes.slice(box).map(([, text]) => text)), fresh));
    this._reindex();
    return /** @type {SVGElement|undefined} */ (this.stage.lastElementChild ?? undefined);
  }

  /** Find the elements of tasks among those that are new, and give each its state and time. */
  _reindex() {
    measure(this.stage.querySelectorAll(":not([tabindex]) > .cnb-id"));
    for (const box of this.stage.querySelectorAll(".cnb-task[data-task]:not([tabindex])")) {
      const number = this.run.numbers.get(/** @type {SVGElement} */ (box).dataset.task ?? "");
      if (number === undefined) continue;
      this.boxes.get(number)?.remove();
      this.boxes.set(number, /** @type {SVGElement} */ (box));
      const place = box.querySelector(":scope > .cnb-bar");
      if (place) this.stacks.add(box, place, number, []);
      else if (this.run.tasks[number].kind !== "expr") this.times.add(number, box);
      for (const cell of box.querySelectorAll(":scope > .cnb-cell[data-task]")) {
        const inner = this.run.numbers.get(/** @type {SVGElement} */ (cell).dataset.task ?? "");
        if (inner === undefined) continue;
        this.cells.set(inner, /** @type {SVGElement} */ (cell));
        setState(/** @type {SVGElement} */ (cell), this.run.tasks[inner].state);
      }
      this._patch(number);
    }
    for (const end of this.stage.querySelectorAll(".cnb-end[data-joiner]:not([aria-label])")) {
      this.times.addJoiner(/** @type {SVGElement} */ (end));
    }
    this.times.writeJoiners();
    const groups = this.stage.querySelectorAll(".cnb-group");
    groups.forEach((root, at) => {
      const place = root.querySelector(":scope > .cnb-bar");
      const members = (this.picture?.groups?.[at] ?? []).filter((number) => this.run.tasks[number]);
      if (place && members.length && !root.hasAttribute("tabindex")) this.stacks.add(root, place, -1, members);
    });
    this.stops = [...this.stage.querySelectorAll(".cnb-task[data-state], .cnb-group, .cnb-end[data-joiner]")];
    for (const stop of this.stops) {
      if (stop.hasAttribute("tabindex")) continue;
      stop.setAttribute("tabindex", "-1");
      stop.setAttribute("role", "button");
      if (!stop.hasAttribute("data-joiner")) this.names.add(stop);
    }
    this._look();
    if (!this.stops.some((stop) => stop.getAttribute("tabindex") === "0")) this.stops[0]?.setAttribute("tabindex", "0");
    this.pick(...this.picks);
  }

  // ------------------------------------------------------------- states

  /** @param {number} number */
  _patch(number) {
    const task = this.run.tasks[number];
    const cell = this.cells.get(number);
    if (cell && task) setState(cell, task.state);
    const box = this.boxes.get(number);
    if (!box || !task) return;
    const name = STATES[task.shown];
    setState(box, task.shown);
    box.classList.toggle("cnb-parked", this.run.parked.has(number));
    const { why, cost } = task;
    const items = task.state === RUNNING ? sayItems(task) : "";
    box.setAttribute("aria-label", [task.id, name, items, why].filter(Boolean).join(", "));
    const title = box.querySelector(":scope > title");
    const [, ...rest] = (title?.textContent ?? "").split("\n");
    if (title) say(title, [[task.id, name, items, why, cost.join(", ")].filter(Boolean).join(" · "), ...rest].join("\n"));
    this.times.write(number);
  }

  /** Ask what a task waits for when the pointer is over it. @param {Element} target */
  _explain(target) {
    const id = /** @type {SVGElement|null} */ (target.closest(".cnb-task"))?.dataset.task;
    const number = this.run.numbers.get(id ?? "");
    if (number !== undefined) this.feed.explain(number);
  }

  /** After a move: stacks of many show more or less. */
  _look() {
    this.looks ||= requestAnimationFrame(() => {
      this.looks = 0;
      this.names.write(this.camera.at.k);
      this.stacks.look(this.camera.at.k > CLOSE);
    });
  }

  tick() {
    this.times.tick();
    if (!this.camera.partial || this.camera.free) return;
    const works = /** @type {SVGElement[]} */ (this.stops.filter((stop) => stop.classList.contains("cnb-running")));
    this.camera.follow(works.map(middleOf), true);
  }

  // ------------------------------------------------------------- selecting

  /** @param {number[]} chosen @param {number[]} near their inputs and readers */
  pick(chosen, near) {
    this.picks = [chosen, near];
    for (const each of this.stage.querySelectorAll(".cnb-chosen,.cnb-near")) each.classList.remove("cnb-chosen", "cnb-near");
    for (const number of near) this._elementOf(number)?.classList.add("cnb-near");
    for (const number of chosen) this._elementOf(number)?.classList.add("cnb-chosen");
    this.svg.classList.toggle("cnb-picked", chosen.length > 0);
    const ends = new Set(chosen.map((number) => this._endOf(number)));
    for (const edge of /** @type {Iterable<SVGElement>} */ (this.edges.querySelectorAll(".cnb-edge"))) {
      const { from, to } = edge.dataset;
      edge.classList.toggle("cnb-near-edge", ends.has(from ?? "") || ends.has(to ?? ""));
    }
  }

  /** @param {number} number @returns {string} the id by which edges name the box of a task: if the box shows several, the first one's */
  _endOf(number) {
    const { id, owner } = this.run.tasks[number];
    const line = /** @type {SVGElement|null} */ (this.cells.get(number)?.closest(".cnb-task") ?? null)?.dataset.task;
    if (line) return this._endOf(this.run.numbers.get(line) ?? number);
    const block = this.boxes.get(number)?.closest(".cnb-block")?.querySelector("[data-task]");
    const first = this.run.tasks[this.stacks.of(number)?.members[0] ?? owner]?.id;
    return /** @type {SVGElement|undefined} */ (block)?.dataset.task ?? first ?? id;
  }

  /** @param {number} number @returns {SVGElement|undefined} the box that shows a task */
  _elementOf(number) {
    return this.boxes.get(number) ?? this.cells.get(number) ?? this.stacks.of(number)?.root ?? this.boxes.get(this.run.tasks[number]?.owner);
  }

  /** @param {Element|null} target */
  _choose(target) {
    const held = /** @type {SVGElement|null} */ (target?.closest("[data-task]"));
    const number = held ? this.run.numbers.get(held.dataset.task ?? "") : undefined;
    if (number !== undefined) return this.view.select(number);
    const end = /** @type {SVGElement|null} */ (target?.closest("[data-joiner]"));
    if (end) return this.view.ask("joiner", Number(end.dataset.joiner));
    const group = this.stacks.all.find((stack) => stack.root === target?.closest(".cnb-group"));
    return group ? this.view.open(group.members, group.bar.label) : this.view.select(-1);
  }

  /** @param {MouseEvent} event */
  _click(event) {
    if (!this.camera.dragged) this._choose(/** @type {Element} */ (event.target));
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || rove(event, this.stops)) return;
    const target = /** @type {Element} */ (event.target);
    const acts = /** @type {Record<string, () => void>} */ ({
      "+": () => this.camera.zoom(1.4), "=": () => this.camera.zoom(1.4), "-": () => this.camera.zoom(1 / 1.4),
      0: () => this.camera.fit(true, true, true), Enter: () => this._choose(target), " ": () => this._choose(target),
      Escape: () => this.view.select(-1),
    });
    if (!acts[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }

  close() {
    this.camera.close();
    cancelAnimationFrame(this.looks);
  }
}

/** @param {DocumentFragment} fragment @param {boolean} fresh whether it fades in */
function _fresh(fragment, fresh) {
  if (fresh) for (const child of fragment.children) child.classList.add("cnb-fresh");
  return fragment;
}
