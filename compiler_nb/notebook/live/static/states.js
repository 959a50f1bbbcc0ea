// Names and marks of the seven states, and how numbers are written. The marks are those of drawing/style.py.

/** States in the order of the codes in frames. */
export const STATES = ["waiting", "ready", "running", "done", "failed", "skipped", "cancelled"];

/** The path inside the disc of a task, around its middle, by state. @type {Record<string, string>} */
export const MARKS = {
  waiting: "M-3.6 0h.01M0 0h.01M3.6 0h.01",
  ready: "M-1.8-3.4 3.4 0-1.8 3.4z",
  running: "M0-3.9A3.9 3.9 0 1 1-3.9 0",
  done: "M-3.7.3-1.1 2.9 3.8-2.7",
  failed: "M-2.8-2.8 2.8 2.8M2.8-2.8-2.8 2.8",
  skipped: "M-3.2-3.2 0 0-3.2 3.2M.8-3.2 4 0 .8 3.2",
  cancelled: "M-2.6-2.6h5.2v5.2h-5.2z",
};

export const WAITING = 0;
export const READY = 1;
export const RUNNING = 2;
export const DONE = 3;
export const FAILED = 4;
export const SKIPPED = 5;
export const CANCELLED = 6;
export const RETRIED = 7; // a change, not a state: an attempt failed, and the task waits for another one

/** The state shown for several tasks: the first of these that one of them has. */
const URGENT = [4, 2, 1, 0, 6, 5, 3];

/** @param {number} state @returns {boolean} whether a task in it has ended */
export function isEnd(state) {
  return state >= DONE;
}

/** @param {number[]} counts tasks by state @returns {number} the state that stands for all */
export function mostUrgent(counts) {
  return URGENT.find((state) => counts[state]) ?? 0;
}

/** @param {number[]} counts tasks by state @returns {string} "3 done, 1 failed" */
export function sayCounts(counts) {
  const parts = STATES.map((name, state) => (counts[state] ? `${sayNumber(counts[state])} ${name}` : ""));
  return parts.filter(Boolean).join(", ");
}

/** @param {number} value @returns {string} "1,240" */
export function sayNumber(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ","); // toLocaleString takes milliseconds
}

/** @param {number} value @param {string} word @returns {string} "2nd try" */
export function sayNth(value, word) {
  const ending = value % 100 > 10 && value % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][value % 10] ?? "th");
  return `${value}${ending} ${word}`;
}

/** @param {number} ms @returns {string} as the kernel says it, see seconds_text: "40 ms", "1.9 s", "140 s" */
export function sayTime(ms) {
  if (ms < 100) return `${Math.round(ms)} ms`;
  return ms < 100000 ? `${(ms / 1000).toFixed(1)} s` : `${sayNumber(ms / 1000)} s`;
}

/** @param {number} ms @returns {string} the time of a running clock: always with tenths, then in minutes */
export function sayClock(ms) {
  if (ms < 59950) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
