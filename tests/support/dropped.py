"""Random programs of fan-outs whose items may fail, and what is left if failed items are dropped: the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.programs import Broken, broken

if TYPE_CHECKING:
    from random import Random

SHARE = 6
"""One in so many arguments makes a tool fail."""


class Lost:
    """Stands for what has no value."""

    def __repr__(self) -> str:
        return "lost"


LOST = Lost()


class Many(NamedTuple):
    """A fan-out as it is made: its items in order, by key in a dict, each a value or LOST."""

    keys: list[int] | None
    items: list[Any]

    def left(self, share: float) -> Any:
        """Return its value if up to a share of its items may fail."""
        kept = [item for item in self.items if item is not LOST]
        lost = len(self.items) - len(kept)
        if lost and (not kept or lost > share * len(self.items)):
            return LOST
        pairs = zip(self.keys or [], self.items, strict=False)
        return kept if self.keys is None else {key: item for key, item in pairs if item is not LOST}


def call(name: str, *args: Any) -> Any:
    """Return what a tool gives, LOST if it fails or an argument is lost."""
    if LOST in args:
        return LOST
    try:
        return broken(name, args, SHARE)
    except Broken:
        return LOST


class Dropping:
    """Writes a program, line by line, and knows what is left of each line.

    made: the fan-outs by name; left: what each name holds in the end, LOST if it has no value.
    """

    def __init__(self, random: Random, share: float) -> None:
        self.random, self.share = random, share
        self.lines: list[str] = []
        self.made: dict[str, Many] = {}
        self.left: dict[str, Any] = {}

    def write(self, size: int) -> str:
        """Return a program of so many lines."""
        for number in range(size):
            kinds = [self.begin] if not self.made else [self.begin, self.linked, self.linked, self.zipped, self.read]
            text, value = self.random.choice(kinds)()
            name = f"v{number}"
            self.lines.append(f"{name} = {text}\n")
            if isinstance(value, Many):
                self.made[name] = value
                value = value.left(self.share)
            self.left[name] = value
        return "".join(self.lines)

    @property
    def left_out(self) -> dict[str, tuple[int, int]]:
        """The fan-outs that go without items: how many, of how many."""
        lost = {name: many.items.count(LOST) for name, many in self.made.items() if self.left[name] is not LOST}
        return {name: (count, len(self.made[name].items)) for name, count in lost.items() if count}

    def begin(self) -> tuple[str, Many]:
        """Return a fan-out over literals."""
        numbers = self.random.sample(range(60), self.random.randint(1, 5))
        items = [call("f", number) for number in numbers]
        if self.random.random() < 0.5:
            return f"[f(x) for x in {numbers}]", Many(None, items)
        return f"{{x: f(x) for x in {numbers}}}", Many(numbers, items)

    def linked(self) -> tuple[str, Many]:
        """Return a fan-out over the items of another: of a lost one its own is lost."""
        name, (keys, items) = self.random.choice(list(self.made.items()))
        more = [LOST if item is LOST else item + 1 for item in items]
        if keys is None:
            numbered = [call("g", item, at) for at, item in enumerate(items)]
            return self.random.choice([
                (f"[g(x) for x in {name}]", Many(None, [call("g", item) for item in items])),
                (f"[x + 1 for x in {name}]", Many(None, more)),
                (f"{{i: g(x, i) for i, x in enumerate({name})}}", Many(list(range(len(items))), numbered)),
            ])  # fmt: skip
        odd = [(key, call("g", item)) for key, item in zip(keys, items, strict=True) if key % 2]
        return self.random.choice([
            (f"{{k: g(v) for k, v in {name}.items() if k % 2}}", Many([key for key, _ in odd], [x for _, x in odd])),
            (f"{{k: v + 1 for k, v in {name}.items()}}", Many(keys, more)),
            (f"[g(v) for v in {name}.values()]", Many(None, [call("g", item) for item in items])),
            (f"[g({name}[k], k) for k in {keys}]",
             Many(None, [call("g", item, key) for key, item in zip(keys, items, strict=True)])),
        ])  # fmt: skip

    def zipped(self) -> tuple[str, Any]:
        """Return a fan-out over the items of two, or a line that reads one."""
        lists = [name for name, many in self.made.items() if many.keys is None]
        if not lists:
            return self.read()
        one, other = self.random.choice(lists), self.random.choice(lists)
        pairs = zip(self.made[one].items, self.made[other].items, strict=False)
        return f"[g(x, y) for x, y in zip({one}, {other})]", Many(None, [call("g", x, y) for x, y in pairs])

    def read(self) -> tuple[str, Any]:
        """Return a line that reads one item, or all that are left."""
        name, (keys, items) = self.random.choice(list(self.made.items()))
        left, values = self.left[name], f"{name}.values()" if keys else name
        if items and self.random.random() < 0.5:
            at = self.random.randrange(len(items))
            return f"g({name}[{keys[at] if keys else at}])", call("g", items[at])
        if left is LOST:
            return f"sum({values})", LOST
        kept = list(left.values()) if keys else left
        return self.random.choice([
            (f"sum({values})", sum(kept)),
            (f"len({name})", len(kept)),
            (f"[g(x) for x in sorted({values})]", Many(None, [call("g", x) for x in sorted(kept)])),
        ])  # fmt: skip
