// The fold of frames, pure: what a run looks like after each frame that notebook/board.py describes.
//
// A reset begins a new Run object, so that a pane sees by its identity that it has to begin anew; all else only grows,
// and each pane remembers how far it has drawn.
import { RUNNING, STATES, isEnd } from "./states.js";

const MOST_NAMES = 3; // of tasks that one waits for

/**
 * @typedef {object} Task
 * @property {number} number its place in `tasks`
 * @property {string} id
 * @property {"call"|"expr"|"fanout"} kind
 * @property {string} tool
 * @property {string} call its source in short, "" where it has to be asked for
 * @property {string} note
 * @property {number} section @property {number} line where it stands, -1 and 0 for items
 * @property {number} owner the fan-out that it is an item of, or -1
 * @property {number[]} needs @property {number[]} readers
 * @property {number[]} items of a fan-out
 * @property {number[]} tally its items by state
 * @property {number} state
 * @property {number[]} history state, ms, state, ms, ...
 * @property {string} value
 * @property {string[]} notes
 */
/**
 * @typedef {{round: number, role: string, reason: string, closed: boolean, text: string,
 *   problems: {line: number, column: number, message: string}[]}} Section
 */

/** @returns {Run} a run of which nothing is known */
export function emptyRun() {
  return {
    run: { id: "", question: "", tools: [], models: {}, live: false, buttons: false },
    status: "running", error: "", phase: "", paused: false, usage: { calls: 0, tokens: 0 }, at: 0,
    /** @type {Section[]} */ sections: [],
    /** @type {Task[]} */ tasks: [],
    /** @type {Map<string, number>} */ numbers: new Map(),
    counts: STATES.map(() => 0),
    /** @type {Map<string, number[]>} tasks by "section:line" */ lines: new Map(),
    /** @type {{svg: string, groups: number[][]}|null} */ picture: null,
    /** @type {[number, string][]} */ boxes: [],
    /** @type {string[]} */ edges: [],
    /** @type {number[]|null} */ bounds: null,
    /** @type {Map<number, {reason: string, words: string, mark: string}>} */ held: new Map(),
    /** @type {Map<number, string>} providers that running tasks wait for, without a slot */ parked: new Map(),
    /** @type {Set<number>} */ critical: new Set(),
    times: "", answer: { text: "", html: "" }, footer: "",
  };
}
/** @typedef {ReturnType<typeof emptyRun>} Run */
/** @typedef {{keys: Set<string>, tasks: Set<number>}} Changes what frames changed: their keys, and tasks in other states */

/** @returns {Changes} */
export function emptyChanges() {
  return { keys: new Set(), tasks: new Set() };
}

/**
 * Apply a frame.
 * @param {Run} run @param {Record<string, any>} frame @param {Changes} changes what is added to
 * @returns {Run} the same, or a new one after a reset
 */
export function applyFrame(run, frame, changes) {
  const now = frame.reset ? emptyRun() : run;
  now.at = frame.at ?? now.at;
  for (const key of Object.keys(frame)) changes.keys.add(key);
  for (const key of ["status", "error", "phase", "paused", "times", "footer"]) {
    if (key in frame) /** @type {any} */ (now)[key] = frame[key];
  }
  if (frame.run) Object.assign(now.run, frame.run);
  if (frame.usage) Object.assign(now.usage, frame.usage);
  _foldText(now, frame);
  for (const row of frame.tasks ?? []) _addTask(now, row);
  _foldStates(now, frame.states ?? "", changes);
  _foldMore(now, frame, changes);
  return now;
}

/** @param {Run} run @param {number} number @returns {Section} */
function _section(run, number) {
  while (run.sections.length <= number) {
    run.sections.push({ round: 0, role: "planner", reason: "", closed: false, text: "", problems: [] });
  }
  return run.sections[number];
}

/** @param {Run} run @param {Record<string, any>} frame */
function _foldText(run, frame) {
  if (frame.answer?.reset) run.answer = { text: "", html: "" };
  run.answer.text += frame.answer?.text ?? "";
  run.answer.html = frame.answer?.html ?? run.answer.html;
  for (const [number, about] of frame.sections ?? []) {
    if (number >= run.sections.length && !frame.reset) run.answer.text = ""; // what the joiner said has led to another plan
    Object.assign(_section(run, number), about);
  }
  for (const [number, more] of frame.text ?? []) _section(run, number).text += more;
  for (const [number, line, column, message] of frame.problems ?? []) {
    _section(run, number).problems.push({ line, column, message });
  }
}

/** @param {Run} run @param {any[]} row */
function _addTask(run, row) {
  const [id, kind, tool, call, note, section, line, owner, needs] = row;
  const number = run.tasks.length;
  const task = { number, id, kind, tool, call, note, section, line, owner, needs, readers: [], items: [],
    tally: kind === "fanout" ? STATES.map(() => 0) : [], state: 0, history: [0, run.at * 1000], value: "", notes: [] };
  run.tasks.push(task);
  run.numbers.set(id, number);
  run.counts[0] += 1;
  for (const need of needs) run.tasks[need]?.readers.push(number);
  const fanout = run.tasks[owner];
  if (fanout) {
    fanout.items.push(number);
    fanout.tally[0] += 1;
  }
  if (section < 0) return;
  const stands = run.lines.get(`${section}:${line}`);
  if (stands) stands.push(number);
  else run.lines.set(`${section}:${line}`, [number]);
}

/**
 * Fold changes of state, as notebook/changes.py writes them: "C.64" is that the task after the last one named runs, 100 ms
 * later than the last change.
 * @param {Run} run @param {string} states @param {Changes} changes
 */
function _foldStates(run, states, changes) {
  let number = 0;
  let ms = 0;
  for (const [, letter, step, later] of states.matchAll(/([A-G])(-?[0-9a-f]*)(?:\.(-?[0-9a-f]+))?/g)) {
    number += parseInt(step || "0", 16);
    ms += parseInt(later ?? "0", 16);
    _setTask(run, number, letter.charCodeAt(0) - 65, ms, changes);
    number += 1;
  }
}

/** @param {Run} run @param {number} number @param {number} state @param {number} ms @param {Changes} changes */
function _setTask(run, number, state, ms, changes) {
  const task = run.tasks[number];
  if (!task || !STATES[state]) return;
  run.counts[task.state] -= 1;
  run.counts[state] += 1;
  const tally = run.tasks[task.owner]?.tally;
  if (tally) {
    tally[task.state] -= 1;
    tally[state] += 1;
  }
  task.state = state;
  task.history.push(state, ms);
  changes.tasks.add(number);
}

/** @param {Run} run @param {Record<string, any>} frame @param {Changes} changes */
function _foldMore(run, frame, changes) {
  for (const [number, reason, words, mark = ""] of frame.held ?? []) {
    if (reason) run.held.set(number, { reason, words, mark });
    else run.held.delete(number);
    changes.tasks.add(number);
  }
  for (const [number, provider] of frame.parked ?? []) {
    if (provider) run.parked.set(number, provider);
    else run.parked.delete(number);
    changes.tasks.add(number);
  }
  for (const [number, text] of frame.notes ?? []) run.tasks[number]?.notes.push(text);
  for (const key of /** @type {const} */ (["value", "call"])) {
    for (const [number, text] of frame[`${key}s`] ?? []) {
      if (run.tasks[number]) run.tasks[number][key] = text;
    }
  }
  if (frame.critical) run.critical = new Set(frame.critical);
  const graph = frame.graph;
  if (!graph) return;
  if (graph.svg !== undefined) Object.assign(run, { picture: graph, boxes: [], edges: [], bounds: null });
  run.boxes.push(...(graph.boxes ?? []));
  run.edges.push(...(graph.edges ?? []));
  run.bounds = graph.bounds ?? run.bounds;
}

/**
 * Return in words what a task waits for, as far as is known here; "" where it does not wait.
 * @param {Run} run @param {Task} task @returns {string}
 */
export function whyWaits(run, task) {
  const held = run.held.get(task.number);
  const provider = run.parked.get(task.number);
  if (run.status !== "running" || isEnd(task.state)) return "";
  if (task.state === RUNNING) return provider ? `waits for ${provider}` : "";
  if (held) return held.reason === "plan" ? "waits for the end of the plan" : "waits for approval";
  if (run.paused) return "the run is paused";
  if (task.state === 1) return `waits for a slot, ${run.counts[RUNNING] - run.parked.size} running`;
  const names = task.needs.filter((need) => !isEnd(run.tasks[need]?.state ?? 0)).map((need) => run.tasks[need].id);
  if (names.length > MOST_NAMES) names.splice(MOST_NAMES, names.length, `${names.length - MOST_NAMES} more`);
  if (names.length) return `waits for ${names.join(", ")}`;
  return task.history.includes(RUNNING) ? "waits before it is tried again" : "";
}

/**
 * @typedef {{ready: number, start: number, end: number|null, state: number}} Attempt in ms; `state` is what it came to,
 *   a failed one where the task went back to waiting; `start` equals `ready` where nothing is known of a wait
 */
/**
 * Return a task's attempts, how long it waited and ran in all, and its state for so long.
 * @param {Task} task @param {number} now in ms
 * @returns {{attempts: Attempt[], waited: number, ran: number}}
 */
export function spansOf(task, now) {
  const { history } = task;
  /** @type {Attempt[]} */
  const attempts = [];
  let waited = 0;
  let ran = 0;
  let ready = -1;
  for (let i = 0; i < history.length; i += 2) {
    const [state, from, next, until] = [history[i], history[i + 1], history[i + 2], history[i + 3]];
    const end = until ?? now;
    if (state === 1) ready = from;
    if (state < RUNNING) waited += isEnd(next ?? 0) && state === 0 ? 0 : Math.max(0, end - from);
    if (state === RUNNING) {
      ran += Math.max(0, end - from);
      const came = next === undefined ? RUNNING : isEnd(next) ? next : 4;
      attempts.push({ ready: ready < 0 ? from : ready, start: from, end: until ?? null, state: came });
      ready = -1;
    }
  }
  const last = history[history.length - 2];
  const at = history[history.length - 1];
  if (!attempts.length && last === 3) attempts.push({ ready: ready < 0 ? at : ready, start: at, end: at, state: 3 });
  return { attempts, waited, ran };
}
