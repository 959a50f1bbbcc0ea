import base64
import copy
import json
import pickle
from urllib.parse import quote

import pytest

from compiler_nb.models.secret import Secret, mask

KEY = 'sk-canary/0123456789+abc"def'


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, lambda s: repr([s]), lambda s: f"{s}"])
def test_a_secret_is_not_shown(show):
    """Whatever prints a secret prints stars."""
    assert "canary" not in show(Secret(KEY))
    assert "***" in show(Secret(KEY))


def test_a_secret_is_not_pickled_and_copies_are_itself():
    """A key leaves the process by no copy."""
    secret = Secret(KEY)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(secret)
    assert copy.deepcopy([secret])[0] is secret is copy.copy(secret)


def test_reveal_gives_the_text():
    """Who asks for the key by name gets it."""
    assert Secret(Secret(KEY)).reveal() == KEY
    assert not Secret("")


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        json.dumps(KEY)[1:-1],
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode()[8:],
        base64.b64encode(f"a:{KEY}".encode()).decode()[4:],
        KEY[5:14],
    ],
)
def test_a_key_is_masked_in_every_form(form):
    """No piece of eight characters stays, however the key is written."""
    masked = mask(f"Bearer {form} after", [Secret(KEY)])
    assert masked.startswith("Bearer ***")
    assert masked.endswith(" after")
    assert not [start for start in range(len(form) - 7) if form[start : start + 8] in masked]


def test_what_is_no_key_stays():
    """A message without the key is not touched, and a placeholder key spoils none."""
    assert mask("no key here", [Secret(KEY), Secret("e"), Secret("")]) == "no key here"
    assert mask("", [Secret(KEY)]) == ""
