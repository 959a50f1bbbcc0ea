"""A server that speaks MCP by hand, so that it starts at once and may fail in every way: `python mcp_raw.py WAY`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

NUMBER = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
READS = {"readOnlyHint": True}
RETURNS = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
GOOD = {
    "name": "double",
    "description": "Return twice a number.",
    "inputSchema": NUMBER,
    "outputSchema": RETURNS,
    "annotations": READS,
}
WRITES = {"name": "write", "description": "Write a number.", "inputSchema": NUMBER}
BAD = [
    {"name": "no_schema", "description": 5},
    {"name": "a_list", "inputSchema": [1]},
    {"name": "a_string", "inputSchema": {"type": "string"}},
    {"name": "odd_type", "inputSchema": {"type": "object", "properties": {"x": {"type": "strin"}}}},
    {"name": "far", "inputSchema": {"type": "object", "properties": {"x": {"$ref": "https://127.0.0.1:9/x.json"}}}},
    {"name": "lost", "inputSchema": {"type": "object", "properties": {"x": {"$ref": "#/$defs/gone"}}}},
    {"name": "loop", "inputSchema": {"type": "object", "properties": {"x": {"$ref": "#/properties/x"}}}},
    {"name": "empty", "inputSchema": {"type": "object", "properties": {"x": {"enum": []}}}},
    {"name": "names", "inputSchema": {"type": "object", "properties": {}, "required": "x"}},
    {"name": "huge", "inputSchema": {"type": "object", "description": "x" * 300_000}},
    {"inputSchema": NUMBER},
    "not even an object",
]


def say(**message: object) -> None:
    """Send a message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def main(way: str) -> None:  # noqa: C901 - a list of ways
    """Answer until the input ends, or as the way says."""
    if way == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleeps = [sys.executable, "-c", "import time; time.sleep(600)", *sys.argv[2:]]
        child = subprocess.Popen(sleeps, stdin=subprocess.DEVNULL)
    if way == "never":
        sys.stdin.read()
    if way == "crash":
        sys.exit("Traceback: no module named 'database'")
    if way == "banner":
        sys.stdout.write("Welcome to the server!\n")
    for line in sys.stdin:
        asked = json.loads(line)
        method, id_ = asked["method"], asked.get("id")
        if way == "refuses":
            say(id=id_, error={"code": -32000, "message": "no licence"})
        elif method == "initialize":
            told = {"name": "raw", "version": "7"}
            say(id=id_, result={"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": told})
        elif method == "tools/list":
            tools = {"bad": [GOOD, *BAD], "clash": [GOOD, {**GOOD, "name": "sum"}, {**GOOD, "name": "list-all"}]}
            more = {"nextCursor": "again"} if way == "endless" else {}
            say(id=id_, result={"tools": tools.get(way, [GOOD, WRITES]), **more})
        elif method == "tools/call":
            answer(way, id_, asked["params"])
        elif method == "notifications/cancelled":
            sys.stderr.write(f"cancelled {asked['params']['requestId']}\n")
        elif id_ is not None:
            say(id=id_, error={"code": -32601, "message": "there is no such method"})
    if way == "stubborn":
        child.wait()


def answer(way: str, id_: int, params: dict[str, object]) -> None:  # noqa: C901 - as above
    """Answer a call, or fail."""
    x = params["arguments"]["x"]  # type: ignore[index]
    if way == "dies" or (way == "dies_once" and not os.path.exists(sys.argv[2])):  # noqa: PTH110
        if way == "dies_once":
            open(sys.argv[2], "w").close()  # noqa: PTH123
        sys.stderr.write("Fatal: the disk is full\n")
        sys.stderr.flush()
        os._exit(3)
    if way == "hangs":
        return
    if way == "long":
        for _ in range(1_000):
            sys.stdout.write("x" * 1_000_000)
    if way == "notes":
        token = params["_meta"]["progressToken"]  # type: ignore[index]
        while True:
            say(method="notifications/progress", params={"progressToken": token, "progress": 1})
    if way == "stderr":
        for number in range(20_000):
            sys.stderr.write(f"line {number} of what nobody reads, {'x' * 100}\n")
    if way == "odd":
        say(id=id_, result={"content": "not a list"})
        return
    found = os.getpid() if way == "pids" else 2 * x  # type: ignore[operator]
    say(id=id_, result={"content": [{"type": "text", "text": str(found)}], "structuredContent": {"result": found}})


if __name__ == "__main__":
    main(sys.argv[1])
