"""A run as spans of OpenTelemetry, by its conventions for generative AI: the one place that maps what we have to them.

    the run                  invoke_workflow compiler_nb
      a round                round 1
        the planner          plan
          its calls          chat MODEL
        a task's attempt     execute_tool TOOL
          its calls          chat MODEL
        the joiner's calls   chat MODEL

Spans have the times of the run, whenever it is exported. Names of attributes are those of `gen_ai.*` (the conventions
are in development; these are of version 1.41), and `compiler_nb.*` for what they have no word for. What was asked,
answered, given and returned, and the words of errors, are contents: they are only in if somebody asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from compiler_nb.events import ModelEnded, RoundStarted, RunStarted
from compiler_nb.outcome import Cancelled, Failure
from compiler_nb.plan.short import shorten_call
from compiler_nb.text import describe_outcome, shorten
from compiler_nb.trace.exchanges import exchanges
from compiler_nb.trace.progress import Progress
from compiler_nb.trace.records import PLANNER, ModelCall, Span, role_of

Attributes: TypeAlias = "dict[str, Any]"
PROVIDERS: Final[Mapping[str, str]] = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai"}
"""Providers to which the conventions give another name than we do."""
WORKFLOW: Final = "compiler_nb"
LONGEST: Final = 20_000
"""Characters of a content."""
MISSING: Final = "run.to_otel() needs OpenTelemetry: pip install compiler_nb[otel]"
NO_PROVIDER: Final = (
    "no tracer provider is set, so nobody would get the spans: give one, run.to_otel(provider), or set one for all "
    "with opentelemetry.trace.set_tracer_provider(provider)"
)


class Traced(NamedTuple):
    """What is exported: the fold of a run, its id, question, the seconds up to which it goes, and what hides keys.

    tools: descriptions by name; contents: whether texts and values are exported, too.
    """

    progress: Progress
    run: str
    question: str
    at: float
    hide: Callable[[Any], Any]
    tools: Mapping[str, str]
    contents: bool


def export(traced: Traced, provider: Any = None) -> str:
    """Give a run's spans to a tracer provider, by default the global one; return the trace's id, in hexadecimal.

    Raises ModuleNotFoundError if OpenTelemetry is not installed, ValueError if there is no provider.
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
    except ImportError:
        raise ModuleNotFoundError(MISSING) from None
    given = provider or trace.get_tracer_provider()
    if isinstance(given, trace.ProxyTracerProvider):
        raise ValueError(NO_PROVIDER)  # noqa: TRY004 - nothing is of a wrong type
    tracer = given.get_tracer("compiler_nb")
    with traced.progress.lock:
        return _Spans(traced, trace, tracer).run()


class _Spans:
    """Makes the spans of one run, from the outside in."""

    def __init__(self, traced: Traced, api: Any, tracer: Any) -> None:
        self.traced, self.progress, self.api, self.tracer = traced, traced.progress, api, tracer
        events = list(self.progress.events[: self.progress.taken])
        self.began = next((each.started_at - each.at for each in events if type(each) is RunStarted), 0.0)
        self.rounds = [each for each in events if type(each) is RoundStarted]
        self.finishes = {each.call: each.finish for each in events if type(each) is ModelEnded}
        self.calls = list(self.progress.calls.values())
        self.replies = {each.call.number: each.reply for each in exchanges(self.progress, self.calls)}

    def span(
        self, name: str, parent: Any, start: float, end: float | None, about: Attributes, *, error: str = "",
        words: str = "", kind: str = "INTERNAL",
    ) -> Any:  # fmt: skip
        """Return the context for what is within a span, which is made with its own times.

        error: the class of the error that it ended with, "" if it did not; words: what that says.
        """
        api, known = self.api, {key: value for key, value in about.items() if value not in (None, "", [], ())}
        until = self.traced.at if end is None else end
        made = self.tracer.start_span(
            name, context=parent, kind=api.SpanKind[kind], start_time=self._moment(start),
            attributes=self.traced.hide(known | ({"error.type": error} if error else {})),
        )  # fmt: skip
        if error:
            told = self.traced.hide(shorten(words, 1_000)) if words and self.traced.contents else None
            made.set_status(api.Status(api.StatusCode.ERROR, told))
        made.end(end_time=self._moment(max(until, start)))
        return api.set_span_in_context(made, parent)

    def _moment(self, seconds: float) -> int:
        return int((self.began + seconds) * 1e9)

    # ---------------------------------------------------------------- the run and its rounds

    def run(self) -> str:
        """Make all spans; return the id of their trace."""
        traced, progress = self.traced, self.progress
        about: Attributes = {
            "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": WORKFLOW,
            "compiler_nb.run.id": traced.run, "compiler_nb.run.status": progress.status,
            "compiler_nb.run.tasks": len(progress.tasks), "compiler_nb.run.cost": progress.cost.dollars,
            "gen_ai.usage.input_tokens": progress.usage.input_tokens,
            "gen_ai.usage.output_tokens": progress.usage.output_tokens,
        }  # fmt: skip
        if traced.contents:
            said = None if progress.answer is None else describe_outcome(progress.answer, LONGEST)
            about |= {"gen_ai.input.messages": _messages([{"role": "user", "content": traced.question}])}
            about |= {"gen_ai.output.messages": _messages([{"role": "assistant", "content": said}])} if said else {}
        lost = progress.status if progress.status not in ("done", "running") else ""
        root = self.span(f"invoke_workflow {WORKFLOW}", None, 0.0, traced.at, about, error=lost, words=progress.error)
        ends = [*(each.at for each in self.rounds[1:]), traced.at]
        for event, end in zip(self.rounds, ends, strict=True):
            told = {"compiler_nb.round": event.round + 1, "compiler_nb.reason": event.reason if traced.contents else ""}
            self._round(event.round, self.span(f"round {event.round + 1}", root, event.at, end, told))
        if not self.rounds:  # a plan that was only written
            self._round(0, root)
        return format(self.api.get_current_span(root).get_span_context().trace_id, "032x")

    def _round(self, number: int, parent: Any) -> None:
        own = [call for call in self.calls if not call.task and call.round == number]
        planning = [call for call in own if role_of(call) == PLANNER]
        if planning:
            end = max(self._end(call) for call in planning)
            about = {"gen_ai.operation.name": "plan", "compiler_nb.round": number + 1}
            plan = self.span("plan", parent, planning[0].started, end, about)
            for call in planning:
                self._call(call, plan)
        for span in self.progress.attempts:
            if self.progress.round_of[span.task] == number:
                self._attempt(span, parent)
        for call in own:
            if call not in planning:
                self._call(call, parent)

    # ---------------------------------------------------------------- calls and attempts

    def _end(self, call: ModelCall) -> float:
        return self.traced.at if call.ended is None else call.ended

    def _call(self, call: ModelCall, parent: Any) -> None:
        usage, address, finish = call.usage, urlsplit(call.address), self.finishes.get(call.number, "")
        about: Attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": PROVIDERS.get(call.provider, call.provider),
            "gen_ai.request.model": call.model, "gen_ai.request.stream": True,
            "gen_ai.response.model": call.answered or (call.model if finish else ""),
            "gen_ai.response.finish_reasons": [finish] if finish else [],
            "gen_ai.response.time_to_first_chunk": None if call.first is None else call.first - call.started,
            "server.address": address.hostname, "server.port": address.port or (443 if address.hostname else None),
            "compiler_nb.role": call.role, "compiler_nb.task": call.task, "compiler_nb.grammar": call.grammar,
        }  # fmt: skip
        if usage is not None and usage.tokens:
            about |= {
                "gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens or None,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
                "compiler_nb.usage.estimated": None if usage.reported else True,
            }  # fmt: skip
        if self.traced.contents:
            about["gen_ai.input.messages"] = _messages(call.messages)
            reply = [{"role": "assistant", "content": self.replies.get(call.number, "")}]
            about["gen_ai.output.messages"] = _messages(reply, finish or "error")
        error = call.error.partition(":")[0]
        self.span(
            f"chat {call.model}", parent, call.started, call.ended, about, kind="CLIENT", words=call.error,
            error=error if error.isidentifier() else "_OTHER" if error else "",
        )  # fmt: skip

    def _attempt(self, span: Span, parent: Any) -> None:
        task, end = self.progress.tasks[span.task], self.progress.ends.get(span.task)
        is_last = span is self.progress.spans[span.task][-1]
        outcome = end.outcome if end is not None and is_last else None
        about: Attributes = {
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": task.tool, "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": span.task, "gen_ai.tool.description": self.traced.tools.get(task.tool, ""),
            "compiler_nb.state": span.state, "compiler_nb.attempt": span.attempt,
            "compiler_nb.waited": round(span.started - span.ready, 6),
        }  # fmt: skip
        if self.traced.contents:
            about["gen_ai.tool.call.arguments"] = shorten_call(task, LONGEST)
            if span.state == "done":
                about["gen_ai.tool.call.result"] = describe_outcome(outcome, LONGEST)
        error, words = "", span.error
        if type(outcome) in (Failure, Cancelled):
            error, words = getattr(outcome, "kind", "cancelled"), str(outcome)
        elif span.state == "failed":
            error = "_OTHER"
        inside = self.span(
            f"execute_tool {task.tool}", parent, span.started, span.ended, about, error=error, words=words
        )
        until = self.traced.at if span.ended is None else span.ended
        for call in self.calls:
            if call.task == span.task and span.started <= call.started <= until:
                self._call(call, inside)


def _messages(messages: Iterable[Mapping[str, str]], finish: str = "") -> str:
    """Return messages in the form of the conventions, as JSON."""
    more = {"finish_reason": finish} if finish else {}
    told = [
        {"role": each["role"], "parts": [{"type": "text", "content": shorten(each["content"], LONGEST)}], **more}
        for each in messages
    ]
    return json.dumps(told, ensure_ascii=False)
