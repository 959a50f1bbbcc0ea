"""Each page for readers is a notebook that runs, and every public name has an example in one of them."""

from __future__ import annotations

import pytest

from tests.support.pages import PAGES, told_by

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """Give what came of a page; each is run once, in a folder of its own."""
    folders = {path: tmp_path_factory.mktemp(path.stem) for path in PAGES}
    return lambda path: told_by(path, folders[path])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_runs_as_a_notebook(path, told):
    """Its cells run one after the other in a fresh kernel, and show what the page says."""
    assert not told(path).wrong, "\n\n".join(told(path).wrong)
