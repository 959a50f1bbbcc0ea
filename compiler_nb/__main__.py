"""`python -m compiler_nb nbval`: print the path of the file with which nbval leaves out times."""

from __future__ import annotations

import argparse
from pathlib import Path

FILES = {"nbval": Path(__file__).parent / "notebook" / "nbval.cfg"}


def main() -> None:
    """Read the command line and print what it asks for."""
    parser = argparse.ArgumentParser(prog="python -m compiler_nb", description="Tools for notebooks.")
    parser.add_argument("verb", choices=FILES, help="nbval: print the path of the file for --nbval-sanitize-with")
    print(FILES[parser.parse_args().verb])  # noqa: T201 - a command line's answer is printed text


if __name__ == "__main__":
    main()
