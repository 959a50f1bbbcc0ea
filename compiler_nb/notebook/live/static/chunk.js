// A hundred lines of a plan's text. They become elements when they scroll into sight: a plan may have ten thousand.
import { make, makeMark, setState } from "./dom.js";
import { mostUrgent } from "./states.js";
import { tallyOf } from "./store.js";

export const LINES = 100; // of a chunk
const LINE_HEIGHT = 20;
const LONG = /\S{24}/; // a line with such a word breaks at operators, too
const OPERATORS = /(?<=[([{,=+*/%|&:-])(?=[^\s)\]},=])/;

export class Chunk {
  /** @param {number} section @param {number} first lines before it */
  constructor(section, first) {
    this.section = section;
    this.first = first;
    /** @type {string[]} */ this.texts = [];
    /** @type {HTMLElement[]} */ this.rows = [];
    this.filled = false;
    this.seen = false;
    this.root = make("div", "cnb-chunk");
  }

  /** Start a line. */
  add() {
    this.texts.push("");
    const high = `${this.texts.length * LINE_HEIGHT}px`;
    this.root.style.containIntrinsicHeight = `auto ${high}`; // out of sight it is as high as it will be
    if (this.filled) this._row(this.texts.length - 1);
    else this.root.style.height = high;
  }

  /** Add to the last line. @param {string} piece */
  write(piece) {
    const last = this.texts.length - 1;
    this.texts[last] += piece;
    const source = this.filled && this.rows[last].querySelector(".cnb-source");
    if (!source) return;
    if (LONG.test(this.texts[last])) source.replaceChildren(..._breakable(this.texts[last]));
    else source.append(piece);
  }

  /** @param {boolean} seen whether it is in sight, or nearly @param {import("./store.js").Run} run */
  see(seen, run) {
    const fresh = seen && !this.seen;
    this.seen = seen;
    if (seen) this._fill();
    if (fresh) this.rows.forEach((_, at) => this.mark(this.first + at + 1, run));
  }

  _fill() {
    if (this.filled) return;
    this.filled = true;
    this.root.style.height = "";
    this.texts.forEach((_, at) => this._row(at));
  }

  /** @param {number} at */
  _row(at) {
    const row = make("div", "cnb-line");
    row.dataset.number = String(this.first + at + 1);
    row.dataset.line = `${this.section}:${row.dataset.number}`;
    const source = make("span", "cnb-source");
    source.append(..._breakable(this.texts[at]));
    row.append(source);
    this.rows.push(row);
    this.root.append(row);
  }

  /** @param {number} line from 1 @returns {HTMLElement|undefined} */
  lineAt(line) {
    return this.rows[line - this.first - 1];
  }

  /** Show in the gutter the state of a line's tasks, if it is in sight. @param {number} line @param {import("./store.js").Run} run */
  mark(line, run) {
    const row = this.lineAt(line);
    const tasks = run.lines.get(`${this.section}:${line}`)?.filter((number) => !run.tasks[number].inner);
    if (!this.seen || !row || !tasks?.length) return;
    const state = mostUrgent(tallyOf(run, tasks));
    const sign = row.firstElementChild;
    if (sign instanceof SVGElement) setState(sign, state);
    else row.prepend(makeMark(state));
    row.classList.add("cnb-has-task");
  }

  /** Say a problem, or a note (column 0), under its line. @param {{line: number, column: number, message: string}} problem */
  tell({ line, column, message }) {
    this._fill();
    const told = make("div", column ? "cnb-problem" : "cnb-problem cnb-remark", message);
    const on = /** @type {HTMLElement} */ (this.lineAt(line));
    /** @type {Element} */ let before = on;
    while (before.nextElementSibling?.classList.contains("cnb-problem")) before = before.nextElementSibling;
    before.after(told);
    if (!column) return;
    _underline(/** @type {HTMLElement} */ (on.querySelector(".cnb-source")), column);
    on.classList.add("cnb-wrong");
  }
}

/** @param {string} text @returns {Node[]} the text, which may be broken after brackets and operators where no space is near */
function _breakable(text) {
  const pieces = LONG.test(text) ? text.split(OPERATORS) : [text];
  return pieces.filter(Boolean).flatMap((piece, at) => (at ? [make("wbr"), new Text(piece)] : [new Text(piece)]));
}

/** Mark the word at a column, from 1, of a line; words that are marked already stay so. @param {HTMLElement} source @param {number} column */
function _underline(source, column) {
  let from = column - 1;
  for (const node of [...source.childNodes]) {
    const text = node.textContent ?? "";
    if (from >= 0 && from < text.length && node instanceof Text) {
      const word = node.splitText(from);
      word.splitText(/** @type {RegExpExecArray} */ (/^(\w+|[^])/.exec(word.data))[0].length);
      const mark = make("span", "cnb-at");
      word.replaceWith(mark);
      mark.append(word);
      return;
    }
    from -= text.length;
  }
}
