"""What the tests of the notebook share: a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.shell import Shell, open_shell

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def shell() -> Iterator[Shell]:
    """Give a fresh shell with the extension loaded and two tools."""
    with open_shell() as opened:
        yield opened
