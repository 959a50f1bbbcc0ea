// The view of one run: puts the panes together, and tells them once per repaint what frames changed.
import { AnswerPane } from "./answer.js";
import { SLIM } from "./camera.js";
import { Details } from "./details.js";
import { make, makeButton, rove } from "./dom.js";
import { Feed } from "./feed.js";
import { GraphPane } from "./graph.js";
import { Asks, Header } from "./header.js";
import { PlanPane } from "./plan.js";
import { TablePane } from "./table.js";
import { TimelinePane } from "./timeline.js";

const TABS = ["Graph", "Timeline", "Table"];
const TICK = 100;
const [READABLE, GAIN] = [0.85, 1.12]; // a picture smaller than the first scale takes the place of the plan's text if it grows by the second
// the graph's share of the width; below the second width the plan stands above the graph, and in a slim view it is folded
// once it is written, for the graph would stand below the page's end
const [SHARE, NARROW] = [0.65, 860];
const CROWD = 40; // with more running tasks than this, they do not pulse

class View {
  /** @param {Feed} feed @param {HTMLElement} host */
  constructor(feed, host) {
    this.feed = feed;
    this.root = make("div", "cnb cnb-live");
    this.root.setAttribute("data-lm-suppress-shortcuts", "true"); // keys are ours, not JupyterLab's
    const select = (/** @type {number} */ task) => this.select(task);
    const ask = (/** @type {string} */ role, /** @type {number} */ round) => this.ask(role, round);
    this.header = new Header(feed);
    this.asks = new Asks(feed, select);
    this.plan = new PlanPane(feed, select, ask);
    this.graph = new GraphPane(feed, { select, ask, open: (tasks, title) => this.open(tasks, title) });
    this.timeline = new TimelinePane(feed, select, ask);
    this.table = new TablePane(feed, select);
    this.details = new Details(feed, select);
    this.answer = new AnswerPane(feed);
    this.panes = [this.graph, this.timeline, this.table];
    this.main = make("div", "cnb-main");
    const right = make("div", "cnb-right");
    right.append(this._tabs(), ...this.panes.map((pane) => pane.root));
    this.main.append(this.plan.root, right);
    this.root.append(this.header.root, this.asks.root, this.main, this.details.root, this.answer.root);
    host.append(this.root);
    this.run = feed.run;
    this.selected = -1;
    /** @type {HTMLElement|undefined} */ this.still = undefined;
    this.wanted = ""; // the task to select when it comes
    this.width = this.folding = 0;
    this.folded = this.chosen = this.drawn = false; // `chosen`: somebody has pressed the button
    this.tab(0);
    this.resize = new ResizeObserver(() => this._resize());
    this.resize.observe(this.graph.root);
    this._resize();
    this.update({ keys: new Set(["reset", "text"]), tasks: new Set() });
    this.timer = window.setInterval(() => this.tick(), TICK);
    this.unlisten = feed.listen((changes) => this.update(changes));
  }

  _tabs() {
    const bar = make("div", "cnb-tabs");
    const list = make("div", "cnb-tab-list");
    list.setAttribute("role", "tablist");
    TABS.forEach((name, at) => {
      const tab = makeButton("cnb-tab", name, name, () => this.tab(at));
      tab.setAttribute("role", "tab");
      tab.removeAttribute("title");
      list.append(tab);
    });
    list.addEventListener("keydown", (event) => {
      if (rove(event, [...list.children])) /** @type {HTMLElement} */ (document.activeElement)?.click();
    });
    this.fold = makeButton("cnb-fold", "Hide plan", "Show or hide the plan's text", () => {
      this.chosen = true;
      this._fold(!this.folded);
    });
    this.fold.setAttribute("aria-expanded", "true");
    bar.append(list, this.graph.tools, this.fold);
    this.tabs = /** @type {HTMLElement[]} */ ([...list.children]);
    return bar;
  }

  /** @param {number} chosen */
  tab(chosen) {
    this.panes.forEach((pane, at) => {
      pane.root.hidden = at !== chosen;
      this.tabs[at].setAttribute("aria-selected", String(at === chosen));
      this.tabs[at].tabIndex = at === chosen ? 0 : -1;
    });
    this.graph.tools.classList.toggle("cnb-aside", chosen !== 0);
    this.timeline.show(chosen === 1);
    this.table.show(chosen === 2);
  }

  _resize() {
    this.graph.camera.resize(this.graph.root.clientWidth);
    this.plan.follow();
    this.width = this.main.clientWidth;
    this._unfold();
  }

  /** Hide the plan's text, once it is written, if it leaves the picture too little room; unless the user has chosen. */
  _unfold() {
    const { camera } = this.graph;
    const all = this.width;
    if (this.chosen || !all || this.graph.root.hidden) return;
    const written = this.feed.run.sections.every((section) => section.closed);
    const [half, whole] = [camera.scaleAt(all * SHARE), camera.scaleAt(all)];
    const better = half < READABLE && whole > half * GAIN;
    const fold = written && this.run.picture !== null && (all > NARROW ? better : all < SLIM);
    cancelAnimationFrame(this.folding);
    if (fold === this.folded) return;
    if (this.drawn) this.folding = requestAnimationFrame(() => this._fold(fold)); // the picture comes first
    else this._fold(fold);
  }

  /** @param {boolean} folded */
  _fold(folded) {
    cancelAnimationFrame(this.folding);
    const middle = () => {
      const { left, width } = this.graph.root.getBoundingClientRect();
      return left + width / 2;
    };
    const before = middle();
    this.folded = this.main.classList.toggle("cnb-folded", folded);
    this.fold.textContent = folded ? "Show plan" : "Hide plan";
    this.fold.setAttribute("aria-expanded", String(!folded));
    this.graph.camera.resize(this.graph.root.clientWidth, this.drawn ? middle() - before : 0);
  }

  /** @param {import("./store.js").Changes} changes */
  update(changes) {
    const { run } = this.feed;
    this.header.update(changes);
    this.asks.update();
    this.main.hidden = !run.run.live && !run.tasks.length && !run.sections.length;
    this.main.classList.toggle("cnb-no-plan", !this.feed.live && !run.sections.some((section) => section.text));
    this.plan.update(changes);
    this.graph.update(changes);
    if (run === this.run) this._unfold();
    this.timeline.update(changes);
    this.table.update(changes);
    if (run !== this.run) this._again();
    else if (this.wanted && run.numbers.has(this.wanted)) this.select(run.numbers.get(this.wanted) ?? -1);
    this.drawn = true;
    this.details.update(changes);
    this.answer.update();
    this.root.classList.toggle("cnb-crowd", run.counted[3] > CROWD);
    this.root.dataset.status = run.status;
    this.root.style.zoom = run.run.scale === 1 ? "" : String(run.run.scale);
    this.root.classList.toggle("cnb-is-live", this.feed.live);
    this._hideStill();
  }

  /** Hide the still picture of the run that stands above this view: it is for pages that find no view. */
  _hideStill() {
    if (this.still || !this.run.run.id) return;
    const before = Node.DOCUMENT_POSITION_PRECEDING;
    const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".cnb-still")]);
    const own = all.filter((each) => each.dataset.run === this.run.run.id && this.root.compareDocumentPosition(each) & before);
    this.still = own.at(-1);
    if (this.still) this.still.hidden = true;
  }

  /** After a reset, select the same task again: it may have another number, or come later in another run. */
  _again() {
    const id = this.run.tasks[this.selected]?.id ?? "";
    const { role } = this.details;
    this.run = this.feed.run;
    this._unfold();
    this.select(this.run.numbers.get(id) ?? -1);
    if (this.selected < 0) this.wanted = id;
    if (role) this.details.showRole(...role);
  }

  /** @param {number} task or -1 for none */
  select(task) {
    this.selected = this.feed.run.tasks[task] ? task : -1;
    this.wanted = "";
    const { needs = [], readers = [] } = this.feed.run.tasks[this.selected] ?? {};
    this.graph.pick(this.selected < 0 ? [] : [this.selected], [...needs, ...readers]);
    this.plan.pick(this.selected);
    this.timeline.pick(this.selected);
    this.table.pick(this.selected);
    this.details.show(this.selected);
  }

  /** Show what the planner or the joiner was asked in a round. @param {string} role @param {number} round */
  ask(role, round) {
    this.select(-1);
    this.details.showRole(role, round);
  }

  /** Show the tasks of a group. @param {number[]} tasks @param {string} title */
  open(tasks, title) {
    this.select(-1);
    this.graph.pick(tasks.slice(0, 1), []);
    this.details.show(-1, tasks, title);
  }

  tick() {
    if (!this.feed.live) return;
    this.header.tick();
    this.graph.tick();
    this.table.tick();
    this.details.tick();
  }

  close() {
    clearInterval(this.timer);
    cancelAnimationFrame(this.folding);
    this.resize.disconnect();
    this.unlisten();
    this.plan.close();
    this.graph.close();
    this.timeline.close();
    this.details.close();
    this.root.remove();
    if (this.still) this.still.hidden = false;
  }
}

/** The interface of anywidget: one feed for a model, and a view for each place where it is shown. */
export default () => {
  const feed = new Feed();
  return {
    /** @param {{model: import("./feed.js").Model}} context */
    initialize({ model }) {
      return feed.open(model);
    },
    /** @param {{model: import("./feed.js").Model, el: HTMLElement}} context */
    render({ el }) {
      const view = new View(feed, el);
      return () => view.close();
    },
  };
};
