"""A run as spans of OpenTelemetry: the conventions' names, the run's own times, and contents only if asked for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

from compiler_nb import Compiler, RateLimited, Run, tool
from compiler_nb.trace import costs
from tests.support.desk import Desk, scripted
from tests.support.wire import Wire, model_on, role_of

PLAN = 'a = get("secret input")\nb = llm("say it", a)\nf = fail(a)\njoin(b)\n'
LATER = {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk", "gen_ai.usage.reasoning.output_tokens"}
"""Names of the conventions that the installed package of names may not have yet."""


def exported(run, **options):
    """Return the spans of a run by name, in the order in which they ended, and the id of their trace."""
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace = run.to_otel(provider, **options)
    return memory.get_finished_spans(), trace


@pytest.fixture
def run():
    """Give a run with two rounds, a worker and a failure."""
    model = scripted(PLAN, joiner=["Replan: more", "secret answer"], worker="said", replan="d = get(4)\njoin(d)\n")
    model.ttft = 0.02
    return asyncio.run(Compiler(model, Desk().tools).run("secret question?"))


def test_the_spans_of_a_run_form_one_tree(run):
    """Run, rounds, plans, calls of models and of tools, each within what made it."""
    spans, trace = exported(run)
    by_id = {span.context.span_id: span for span in spans}
    parent = {id_: by_id[span.parent.span_id].name if span.parent else "" for id_, span in by_id.items()}
    tree = sorted((parent[id_], span.name) for id_, span in by_id.items())
    assert tree == sorted([
        ("", "invoke_workflow compiler_nb"),
        ("invoke_workflow compiler_nb", "round 1"), ("invoke_workflow compiler_nb", "round 2"),
        ("round 1", "plan"), ("plan", "chat scripted"),
        ("round 1", "execute_tool get"), ("round 1", "execute_tool llm"), ("execute_tool llm", "chat scripted"),
        ("round 1", "execute_tool fail"), ("round 1", "chat scripted"),
        ("round 2", "plan"), ("plan", "chat scripted"), ("round 2", "execute_tool get"), ("round 2", "chat scripted"),
    ])  # fmt: skip
    assert {format(span.context.trace_id, "032x") for span in spans} == {trace}


def test_attributes_are_those_of_the_conventions(run):
    """Each gen_ai name that is set is one of the conventions', with a value of their kind."""
    spans, _ = exported(run, contents=True)
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")} | LATER
    known |= {
        "gen_ai.workflow.name",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    }
    names = {name for span in spans for name in span.attributes}
    assert {name for name in names if name.startswith("gen_ai.")} <= known
    assert {name.partition(".")[0] for name in names} <= {"gen_ai", "server", "error", "compiler_nb"}
    operations = {span.name.split(" ")[0]: span.attributes.get("gen_ai.operation.name") for span in spans}
    assert {name: said for name, said in operations.items() if said} == {
        "chat": "chat", "plan": "plan", "execute_tool": "execute_tool", "invoke_workflow": "invoke_workflow",
    }  # fmt: skip
    chat = next(span for span in spans if span.attributes.get("compiler_nb.role") == "planner")
    assert chat.kind is SpanKind.CLIENT
    usage = run.progress.calls[1].usage
    assert dict(chat.attributes) | {
        "gen_ai.provider.name": "scripted", "gen_ai.request.model": "scripted", "gen_ai.response.model": "scripted",
        "gen_ai.response.finish_reasons": ("stop",), "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens, "gen_ai.request.stream": True,
    } == dict(chat.attributes)  # fmt: skip
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] >= 0.02
    told = next(span for span in spans if span.name == "execute_tool get")
    assert told.kind is SpanKind.INTERNAL
    assert told.attributes["gen_ai.tool.call.id"] == "a"
    assert told.attributes["gen_ai.tool.type"] == "function"
    assert "Return it." in told.attributes["gen_ai.tool.description"]


def test_times_are_those_of_the_run_not_of_the_export(run, tmp_path):
    """A run that is loaded much later has the same spans."""
    run.save(tmp_path / "run.jsonl")
    spans, _ = exported(run)
    later, _ = exported(Run.load(tmp_path / "run.jsonl"))
    assert [(span.name, span.start_time, span.end_time) for span in later] == [
        (span.name, span.start_time, span.end_time) for span in spans
    ]
    root = spans[-1] if spans[-1].parent is None else next(span for span in spans if span.parent is None)
    assert root.start_time / 1e9 == pytest.approx(run.at.timestamp(), abs=1.5)
    assert (root.end_time - root.start_time) / 1e9 == pytest.approx(run.seconds, abs=0.001)


def test_contents_are_in_only_if_asked_for(run):
    """Prompts, replies, arguments, values, reasons and the words of errors."""
    spans, _ = exported(run)
    told = "\n".join(span.to_json() for span in spans)
    assert not [word for word in ("secret", "said", "more", "no secret") if word in told]
    spans, _ = exported(run, contents=True)
    told = "\n".join(span.to_json() for span in spans)
    assert [
        word for word in ("secret input", "secret question", "secret answer", "no secret") if word not in told
    ] == []
    chat = next(span for span in spans if span.attributes.get("compiler_nb.role") == "planner")
    asked = json.loads(chat.attributes["gen_ai.input.messages"])
    assert [each["role"] for each in asked] == ["system", "user"]
    assert asked[1]["parts"][0]["content"].startswith("Question: secret question?")
    assert json.loads(chat.attributes["gen_ai.output.messages"])[0] == {
        "role": "assistant", "parts": [{"type": "text", "content": PLAN}], "finish_reason": "stop",
    }  # fmt: skip


def test_the_cost_is_a_number_of_dollars_and_left_out_if_it_is_not_known(run, monkeypatch):
    """As back ends add it up."""
    told = []
    for dollars in (0.25, None):
        monkeypatch.setattr(costs, "price", lambda *_args, dollars=dollars: dollars)
        whole = next(span for span in exported(run)[0] if span.name == "invoke_workflow compiler_nb")
        told.append(whole.attributes.get("compiler_nb.run.cost"))
    assert told == [0.25 * run.usage.calls, None]


def test_errors_have_a_type_and_a_status(run):
    """A failed tool, a call that its provider refused, a run without an answer."""
    failed = next(span for span in exported(run)[0] if span.name == "execute_tool fail")
    assert (failed.status.status_code, failed.attributes["error.type"]) == (StatusCode.ERROR, "raised")
    refused = asyncio.run(Compiler(scripted(RateLimited("no", retry_after=500.0, status=429))).run("What?"))
    spans = {span.name: span for span in exported(refused)[0]}
    assert spans["chat scripted"].attributes["error.type"] == "RateLimited"
    root = spans["invoke_workflow compiler_nb"]
    assert (root.status.status_code, root.attributes["error.type"]) == (StatusCode.ERROR, "failed")


def test_no_key_is_exported():
    """Not even with contents."""
    key = "sk-canary-0123456789abcdef"

    @tool
    def leak(x: int) -> str:
        """Return a key."""
        return key

    wire = Wire(lambda body: "a = leak(1)\njoin(a)" if role_of(body) == "planner" else f"It is {key}.")
    run = asyncio.run(Compiler(model_on(wire, key), [leak]).run(f"What is {key}?"))
    spans, _ = exported(run, contents=True)
    assert "canary" not in "\n".join(span.to_json() for span in spans)
    chat = next(span for span in spans if span.name == "chat gpt-test")
    assert (chat.attributes["gen_ai.provider.name"], chat.attributes["server.address"]) == ("openai", "provider.test")


class Collector(BaseHTTPRequestHandler):
    """A collector of OTLP over HTTP that keeps what comes."""

    seen: list = []  # noqa: RUF012 - all that come

    def do_POST(self):
        """Take spans."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.slow
def test_a_collector_takes_the_spans_over_http(run):
    """By the SDK's own exporter, to a server on this machine."""
    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        provider = TracerProvider()
        address = f"http://127.0.0.1:{server.server_port}/v1/traces"
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(address)))
        trace = run.to_otel(provider)
        provider.shutdown()
    finally:
        server.shutdown()
        server.server_close()
    names = []
    for path, kind, body in Collector.seen:
        assert (path, kind) == ("/v1/traces", "application/x-protobuf")
        told = ExportTraceServiceRequest.FromString(body)
        for spans in (scope.spans for resource in told.resource_spans for scope in resource.scope_spans):
            names += [span.name for span in spans]
            assert {span.trace_id.hex() for span in spans} == {trace}
    assert len(names) == 14
    assert "invoke_workflow compiler_nb" in names


def test_nobody_to_get_the_spans_is_an_error(run):
    """Without a provider they would be lost in silence."""
    with pytest.raises(ValueError, match="no tracer provider is set"):
        run.to_otel()


def test_without_opentelemetry_the_error_names_the_extra():
    """It is imported only by who exports."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from compiler_nb import Compiler\nrun = Compiler().execute_sync('answer(1)')\n"
        "try:\n    run.to_otel()\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "run.to_otel() needs OpenTelemetry: pip install compiler_nb[otel]\n"
