// The fold of frames, pure: what a run looks like after each frame. live/board.py describes the frames.
//
// A reset makes a new Run object, so a pane that holds another one has to start over. Everything else only grows, and
// each pane remembers how far it has drawn. The kernel says states, numbers and why a task waits; nothing is derived here,
// so that the page, `run.why` and the still picture cannot disagree. Only clocks run here, between two frames.
import { CANCELLED, DONE, FAILED, READY, RETRIED, RUNNING, SKIPPED, STATES, WAITING, isEnd, sayClock, sayNumber, sayTime } from "./states.js";

/**
 * @typedef {object} Task
 * @property {number} number its place in `tasks`
 * @property {string} id
 * @property {"call"|"expr"|"fanout"} kind
 * @property {string} tool
 * @property {string} call its source in short, "" if it has to be asked for
 * @property {string} note
 * @property {number} section @property {number} line where it stands, -1 and 0 for items
 * @property {number} owner the fan-out that it is an item of, or -1
 * @property {number[]} needs @property {number[]} readers
 * @property {number[]} items of a fan-out
 * @property {number[]} tally its items by state
 * @property {number} rest how many of its items are not told
 * @property {boolean} inner whether it is a guarded call, which is drawn in the box of its line
 * @property {number} state
 * @property {number} shown the state of its box, which may be that of a guarded call in its line
 * @property {string} why what it waits for, in the kernel's words
 * @property {boolean} asked whether the page asked for these words: then no frame says when they change
 * @property {Attempt[]} attempts
 * @property {number} born when it was planned, in ms
 * @property {number} ready when it became ready, if it is, or -1
 * @property {number} end when it ended, in ms, or -1
 * @property {[waited: string, ran: string, each?: string[]]|null} took how long it waited and ran, in the kernel's words; null if it has not ended, or was not told
 * @property {string} value
 * @property {string[]} notes
 * @property {number} source whose outcome it has, without having run; -1 for none
 * @property {string[]} cost tokens and dollars of the calls of models that it made, in words @property {number} tokens
 * @property {string} count what says how many items a fan-out has, if that is not their number
 */
/** @typedef {[tasks: number[], failed: number, items: number, busy: number]} Counted tasks by state; failed ones, and failed items; calls that run */
/** @typedef {{ready: number, start: number, end: number|null, state: number}} Attempt in ms, and what it came to */
/** @typedef {[role: string, round: number, start: number, first: number, end: number, until: number, written?: string, spent?: string, took?: string, state?: number]} Asked in ms, -1 if not yet; until: where it leaves the critical path, -1 if it is not on it; written: under which grammar, in words; spent: tokens and dollars in words; took: how long the role took in its round so far, in words; state: of the call */
/**
 * @typedef {{round: number, role: string, reason: string, closed: boolean, written: string, text: string,
 *   problems: {line: number, column: number, message: string}[]}} Section
 */

/** @returns {Run} a run that nothing is known about yet */
export function emptyRun() {
  return {
    run: { id: "", question: "", tools: [], models: {}, where: "", live: false, buttons: false, scale: 1 },
    status: "running", error: "", phase: "", paused: false, usage: { calls: 0, /** @type {string[]} */ words: [], shares: "" }, at: 0,
    /** @type {Counted} */ counted: [STATES.map(() => 0), 0, 0, 0],
    /** @type {[string, number, number][]} who waits for a provider, in words, seconds asked, end in ms */ waits: [],
    /** @type {Section[]} */ sections: [],
    /** @type {Task[]} */ tasks: [],
    /** @type {Map<string, number>} */ numbers: new Map(),
    /** @type {Map<string, number[]>} tasks by "section:line" */ lines: new Map(),
    /** @type {{svg: string, groups: number[][]}|null} */ picture: null,
    /** @type {[number, string][]} */ boxes: [],
    /** @type {string[]} */ edges: [],
    /** @type {number[]|null} */ bounds: null,
    /** @type {Map<number, {reason: string, words: string, mark: string, note: string, turn: string}>} */ held: new Map(),
    /** @type {Map<number, string>} providers that running tasks wait for, without a slot */ parked: new Map(),
    /** @type {Set<number>} */ critical: new Set(),
    /** @type {Asked[]} calls of the planner and the joiner */ models: [],
    /** @type {[number, string][]} for each round its first task and why it began */ rounds: [],
    times: "", answer: { text: "", html: "" }, footer: "",
  };
}
/** @typedef {ReturnType<typeof emptyRun>} Run */
/** @typedef {{keys: Set<string>, tasks: Set<number>}} Changes what frames changed: their keys, and the tasks whose states changed */

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
  for (const key of ["status", "error", "phase", "paused", "waits", "times", "footer", "models", "rounds", "counted"]) {
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
    run.sections.push({ round: 0, role: "planner", reason: "", closed: false, written: "", text: "", problems: [] });
  }
  return run.sections[number];
}

/** @param {Run} run @param {Record<string, any>} frame */
function _foldText(run, frame) {
  if (frame.answer?.reset) run.answer = { text: "", html: "" };
  run.answer.text += frame.answer?.text ?? "";
  run.answer.html = frame.answer?.html ?? run.answer.html;
  for (const [number, about] of frame.sections ?? []) {
    Object.assign(_section(run, number), about);
  }
  for (const [number, more] of frame.text ?? []) _section(run, number).text += more;
  for (const [number, line, column, message] of frame.problems ?? []) {
    _section(run, number).problems.push({ line, column, message });
  }
}

/** @param {Run} run @param {any[]} row */
function _addTask(run, row) {
  const [id, kind, tool, call, note, section, line, owner, needs, born, inner = 0] = row;
  const number = run.tasks.length;
  const task = { number, id, kind, tool, call, note, section, line, owner, needs, readers: [], items: [],
    tally: kind === "fanout" ? STATES.map(() => 0) : [], rest: 0, inner: inner === 1, state: WAITING, shown: WAITING, why: "", asked: false,
    attempts: [], born, ready: -1, end: -1, took: null, value: "", notes: [], count: "", cost: [], tokens: 0, source: -1 };
  run.tasks.push(task);
  run.numbers.set(id, number);
  for (const need of needs) run.tasks[need]?.readers.push(number);
  run.tasks[owner]?.items.push(number);
  if (section < 0) return;
  const stands = run.lines.get(`${section}:${line}`);
  if (stands) stands.push(number);
  else run.lines.set(`${section}:${line}`, [number]);
}

/** @param {Run} run @returns {string} "99,800 more items", "" if all are told */
export function sayRest(run) {
  const count = run.tasks.reduce((sum, task) => sum + task.rest, 0);
  return count ? `${sayNumber(count)} more item${count === 1 ? "" : "s"}` : "";
}

/** @param {Task} task @returns {string} how a fan-out's items stand: "412 of 1,000 items done, 3 failed", "" if it has none */
export function sayItems({ tally }) {
  const all = tally.reduce((sum, count) => sum + count, 0);
  if (!all) return "";
  const lost = tally[FAILED] + tally[SKIPPED] + tally[CANCELLED];
  const failed = lost ? `, ${sayNumber(lost)} failed` : "";
  return `${sayNumber(tally[DONE])} of ${sayNumber(all)} item${all === 1 ? "" : "s"} done${failed}`;
}

/**
 * Fold changes of state, as live/changes.py writes them: "C.64" says that the next task runs, 100 ms after the last
 * change.
 * @param {Run} run @param {string} states @param {Changes} changes
 */
function _foldStates(run, states, changes) {
  let number = 0;
  let ms = 0;
  for (const [, letter, step, later] of states.matchAll(/([A-H])(-?[0-9a-f]*)(?:\.(-?[0-9a-f]+))?/g)) {
    number += parseInt(step || "0", 16);
    ms += parseInt(later ?? "0", 16);
    _setTask(run, number, letter.charCodeAt(0) - 65, ms, changes);
    number += 1;
  }
}

/** @param {Run} run @param {number} number @param {number} code a state, or RETRIED @param {number} ms @param {Changes} changes */
function _setTask(run, number, code, ms, changes) {
  const task = run.tasks[number];
  const state = code === RETRIED ? WAITING : code;
  if (!task || !STATES[state]) return;
  task.state = task.shown = state;
  task.why = "";
  task.took = null;
  const open = task.attempts.at(-1);
  if (state === RUNNING) task.attempts.push({ ready: task.ready < 0 ? ms : task.ready, start: ms, end: null, state });
  else if (open?.end === null) Object.assign(open, { end: ms, state: code === RETRIED ? FAILED : state });
  task.ready = state === READY ? ms : -1;
  task.end = isEnd(state) ? ms : -1;
  changes.tasks.add(number);
}

/** @param {Run} run @param {Record<string, any>} frame @param {Changes} changes */
function _foldMore(run, frame, changes) {
  for (const [number, state] of frame.shows ?? []) {
    if (run.tasks[number]) run.tasks[number].shown = state;
    changes.tasks.add(number);
  }
  for (const [number, tally, rest] of frame.items ?? []) {
    if (run.tasks[number]) Object.assign(run.tasks[number], { tally, rest });
    changes.tasks.add(number);
  }
  for (const [words, numbers] of frame.whys ?? []) {
    for (const number of numbers) {
      if (run.tasks[number]) Object.assign(run.tasks[number], { why: words, asked: "calls" in frame });
      changes.tasks.add(number);
    }
  }
  for (const [number, reason, words, mark = "", note = "", turn = ""] of frame.held ?? []) {
    if (reason) run.held.set(number, { reason, words, mark, note, turn });
    else run.held.delete(number);
    changes.tasks.add(number);
  }
  for (const [number, provider] of frame.parked ?? []) {
    if (provider) run.parked.set(number, provider);
    else run.parked.delete(number);
    changes.tasks.add(number);
  }
  for (const [number, cost, tokens] of frame.costs ?? []) {
    if (run.tasks[number]) Object.assign(run.tasks[number], { cost, tokens });
    changes.tasks.add(number);
  }
  for (const [number, ...took] of frame.took ?? []) {
    if (run.tasks[number] && isEnd(run.tasks[number].state)) run.tasks[number].took = took;
    changes.tasks.add(number);
  }
  for (const [number, source] of frame.sources ?? []) {
    if (run.tasks[number]) run.tasks[number].source = source;
    changes.tasks.add(number);
  }
  for (const [number, text] of frame.notes ?? []) run.tasks[number]?.notes.push(text);
  for (const key of /** @type {const} */ (["value", "call", "count"])) {
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

/** @param {Run} run @param {number} number @returns {number} the round that a task came in, or its fan-out: an item may be told later */
export function roundOf(run, number) {
  const { owner } = run.tasks[number];
  return Math.max(0, run.rounds.findLastIndex(([first]) => first <= (owner < 0 ? number : owner)));
}

/** @param {Run} run @param {number[]} members @returns {number[]} members by the states that they show */
export function tallyOf(run, members) {
  const tally = STATES.map(() => 0);
  for (const number of members) tally[run.tasks[number].shown] += 1;
  return tally;
}

/** @param {Task} task @param {number} now in ms @returns {string} how long it has run, "" if it never did */
export function sayRan(task, now) {
  if (!task.attempts.length) return "";
  if (task.took) return task.took[1];
  const { ran } = timesOf(task, now);
  return task.state === RUNNING ? sayClock(ran) : sayTime(ran);
}

/** @param {Task} task @param {number} now in ms @returns {string} how long it has waited */
export function sayWaited(task, now) {
  return task.took ? task.took[0] : sayTime(timesOf(task, now).waited);
}

/**
 * Return how long a task waited and ran in all, as trace/durations.py does: without an attempt it waited to its end.
 * @param {Task} task @param {number} now in ms
 * @returns {{waited: number, ran: number}}
 */
export function timesOf({ attempts, born, state, end: last }, now) {
  let [waited, ran, from] = [0, 0, born];
  for (const { start, end } of attempts) {
    waited += Math.max(0, start - from);
    ran += Math.max(0, (end ?? now) - start);
    from = end ?? now;
  }
  if (state < RUNNING) waited += Math.max(0, now - from);
  else if (!attempts.length && last >= 0) waited += Math.max(0, last - from);
  return { waited, ran };
}
