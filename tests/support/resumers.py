"""Processes that run a plan with side effects, and go on with runs of it, when they are told to: `main` runs in each.

They are told by a line of JSON each, and answer by one. They live on, so that hundreds of runs take little time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from compiler_nb.errors import RunClaimed
from tests.support.killed import PLAN, compiler_in

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Do what each line says."""
    say("ready")
    for line in sys.stdin:
        say(json.dumps(asyncio.run(perform(**json.loads(line)))))


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def perform(
    folder: str, run: str = "", wait: float = 0.0, stop: float = 0.0, take: bool = False
) -> dict[str, Any]:
    """Run the plan, or go on with a run of it, after some seconds; stop: the seconds after which it is cancelled."""
    compiler, outside = compiler_in(Path(folder))
    await asyncio.sleep(wait)
    try:
        if run:
            found = await compiler.resume(run, on_event=outside.listen, take=take)
        else:
            found, work = compiler.begin(compiler.order(plan=PLAN), on_event=outside.listen)
            asyncio.get_running_loop().call_later(stop or 1_000, found.cancel)
            await work
    except RunClaimed as error:
        return {"id": "", "status": "claimed", "error": str(error), "failures": {}}
    finally:
        compiler.settings.history.close()
    failures = {id_: str(each) for id_, each in found.failures.items()}
    return {"id": found.id, "status": found.status, "error": found.error, "failures": failures}


class Resumer:
    """One such process, as its parent sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", "from tests.support.resumers import main; main()"]
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        assert self.stdout.readline() == "ready\n"

    def tell(self, folder: Path, **more: Any) -> None:
        """Have it do something; `answer` waits for that."""
        self.stdin.write(json.dumps({"folder": str(folder), **more}) + "\n")
        self.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Return what came of it, {} if it was killed meanwhile."""
        line = self.stdout.readline()
        found: dict[str, Any] = json.loads(line) if line else {}
        return found

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.kill()
        self.stdin.close()
        self.stdout.close()
