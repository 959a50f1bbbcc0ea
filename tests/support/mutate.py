"""Mutations of texts: what a model, a proxy or an enemy may make of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PIECES = [
    *"()[]{}\"'`,.:;=+-*/%$@#!?<>|&^~\\ \t\n\r\x00\x0b\u2028\u202e\ufeff\ud800_019",
    *"\u200b\u00e9\u6771\uff45\ufb01\U000e0041\U0001f600",
    *("\n\n",),
    *('"""', "'''", "```", "```python\n", "${", "$1", "${1}", "$$", "\\u00", "\\ud800", "f'{", 'f"{', "!r", ":>9"),
    *("**", "//", "join()", "answer(", "<END_OF_PLAN>", "lambda x: ", " for x in ", " if ", " else ", " not ", " and "),
    "await ",
    *("None", "__class__", "__import__('os')", ".format(", "[0]", "['x']", "1e999", "9" * 400, "0x" + "f" * 99),
    *("1_0", "import os\n", "def f():\n ", "while True:\n ", "search(", "send_email(", '{"id": "t1", ', '"tasks": ['),
    *('"args": {}', "NaN", "-Infinity", "[" * 30, "(" * 30, "]" * 30, "x.y", "a = a", "t1", "1. ", "2) ", "Thought: "),
]  # fmt: skip


def mutate(random: Random, text: str, others: list[str]) -> str:
    """Return a text after one to eight random changes."""
    for _ in range(random.randint(1, 8)):
        at = random.randint(0, len(text))
        end = min(len(text), at + int(random.expovariate(0.2)))
        match random.randrange(8):
            case 0 | 1:
                text = text[:at] + random.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:at] + random.choice(PIECES) + text[end:]
            case 4:
                text = text[:at] + text[at:end] * random.randint(2, 40) + text[end:]
            case 5:
                text = text[:at] + chr(random.randrange(0x11000)) + text[at:]
            case 6:
                other = random.choice(others)
                text = text[:at] + other[random.randint(0, len(other)) :]
            case _:
                text = "\n".join(random.sample(lines := text.split("\n"), len(lines)))
        text = text[:20_000]
    return text
