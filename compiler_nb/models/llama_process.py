"""The program of llama.cpp's server in a process of its own; `llama` starts it, and nothing imports it.

It reads one line of JSON from its standard input: `site`, the folder of xllamacpp, and `settings`, those of its
CommonParams by dotted names. It writes one line: MARK and the address. It ends when its standard input does, which also
happens when the process that started it is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from functools import reduce
from typing import Any, Final

MARK: Final = "compiler_nb: "


def serve(site: str, settings: dict[str, Any]) -> Any:
    """Return a running server, which stops when nothing refers to it."""
    sys.path.insert(0, site)
    import xllamacpp  # noqa: PLC0415 - its folder is known only now

    parameters = xllamacpp.CommonParams()
    for name, value in settings.items():
        *above, last = name.split(".")
        part = reduce(getattr, above, parameters)
        kind = type(getattr(part, last))
        setattr(part, last, kind(value) if kind in (set, list) else value)
    return xllamacpp.Server(parameters)


def main() -> None:
    """Serve until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a notebook's stop button is for its cell
    server = serve(**json.loads(sys.stdin.readline()))
    print(f"\n{MARK}{server.listening_address}", flush=True)  # noqa: T201 - the answer to the process that waits
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
