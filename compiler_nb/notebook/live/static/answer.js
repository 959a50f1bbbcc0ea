// The end of the view: the joiner's words as they come, then the answer itself, the error, and the footer.
import { make, say } from "./dom.js";
import { cleanHtml } from "./sanitize.js";

export class AnswerPane {
  /** @param {import("./feed.js").Feed} feed */
  constructor(feed) {
    this.feed = feed;
    this.root = make("section", "cnb-end-part");
    this.answer = make("div", "cnb-answer");
    this.answer.setAttribute("aria-live", "polite");
    this.error = make("div", "cnb-error");
    this.error.setAttribute("role", "alert");
    this.footer = make("details", "cnb-footer"); // one line, which shows all of itself when it is opened
    this.line = this.footer.appendChild(make("summary", ""));
    this.sizes = new ResizeObserver(() => {
      const { scrollHeight, clientHeight } = this.line;
      if (!this.footer.hasAttribute("open")) this.footer.classList.toggle("cnb-fits", scrollHeight < 1.5 * clientHeight);
    });
    this.sizes.observe(this.line);
    this.root.append(this.answer, this.error, this.footer);
    this.shown = "";
  }

  update() {
    const { answer, error, footer, models } = this.feed.run;
    this.answer.title = models.findLast(([role]) => role === "joiner")?.[6] ?? "";
    const shown = answer.html ? `html ${answer.html}` : `text ${answer.text}`;
    if (shown !== this.shown) {
      this.shown = shown;
      this.answer.classList.toggle("cnb-streams", !answer.html);
      if (answer.html) this.answer.replaceChildren(cleanHtml(answer.html));
      else say(this.answer, answer.text);
    }
    say(this.error, error);
    this._sayFooter(footer);
    this.answer.hidden = !answer.text && !answer.html;
    this.error.hidden = !error;
    this.footer.hidden = !footer;
    this.root.hidden = this.answer.hidden && this.error.hidden && this.footer.hidden;
  }

  /** Show the last line in parts, between which a page folds it. @param {string} footer */
  _sayFooter(footer) {
    if (this.line.textContent === footer) return;
    const parts = footer.split(" \u00b7 ");
    this.line.replaceChildren(...parts.map((part, at) => make("span", "", at ? ` \u00b7 ${part}` : part)));
  }
}
