"""Ready calls that wait for the same resources."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compiler_nb.engine.node import Node


class Lane:
    """Ready calls that need the same resources, the highest first and first come first within a height.

    Heights in hops are few, so nodes stand in a queue per height, and only the heights in a heap.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.queues: dict[float, deque[Node]] = {}
        self.heights: list[float] = []  # negated: the head is the highest
        for node in nodes:
            self.push(node)

    def push(self, node: Node) -> None:
        """Take a node in."""
        queue = self.queues.get(node.height)
        if queue is None:
            self.queues[node.height] = deque((node,))
            heappush(self.heights, -node.height)
        else:
            queue.append(node)

    def pop(self) -> Node:
        """Take the first node out."""
        height = -self.heights[0]
        queue = self.queues[height]
        node = queue.popleft()
        if not queue:
            del self.queues[height]
            heappop(self.heights)
        return node

    @property
    def rank(self) -> tuple[float, int]:
        """How early its first node is to start, compared with other lanes'."""
        return self.heights[0], self.queues[-self.heights[0]][0].order

    def nodes(self) -> list[Node]:
        """All nodes, in the order in which they came to be."""
        return sorted((node for queue in self.queues.values() for node in queue), key=lambda node: node.order)
