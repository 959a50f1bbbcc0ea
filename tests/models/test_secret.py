import base64
import copy
import json
import pickle
from random import Random
from urllib.parse import quote

import pytest

from compiler_nb.models.secret import PIECE, Screen, Secret, mask

KEY = 'sk-canary/0123456789+abc"def'


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, lambda s: repr([s]), lambda s: f"{s}"])
def test_a_secret_is_not_shown(show):
    """Whatever prints a secret prints stars."""
    assert "canary" not in show(Secret(KEY))
    assert "***" in show(Secret(KEY))


def test_a_secret_is_not_pickled_and_copies_are_itself():
    """A key leaves the process by no copy."""
    secret = Secret(KEY)
    with pytest.raises(TypeError, match="cannot be pickled"):
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
        json.dumps(json.dumps(KEY))[3:-3],
        repr(json.dumps(KEY))[2:-2],
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


@pytest.mark.parametrize("word", ["none", "EMPTY", "ollama", "not-needed", "sk-no-key-required", "lm-studio"])
def test_a_placeholder_is_no_key(word):
    """What stands for a key where none is needed is taken out of no reply."""
    text = f"{word}, or {word.upper()}: a plan may say so"
    assert mask(text, [Secret(word)]) == text


FORMS = [
    KEY, f"Bearer {KEY}", quote(KEY, safe=""), json.dumps(KEY)[1:-1], base64.b64encode(f"x:{KEY}".encode()).decode(),
    KEY[3:14], KEY[:11], KEY + KEY, "zq7#Xk", "aaaaaaaaaa",
]  # fmt: skip
KEYS = [Secret(KEY), Secret("zq7#Xk"), Secret("aaaaaaaaaaaa")]


def screened(text, sizes):
    """Return a text that went through a screen in pieces, and the most that was held back of it."""
    screen, shown, at, held = Screen(KEYS), "", 0, 0
    while at < len(text):
        size = next(sizes)
        shown += screen.feed(text[at : at + size])
        at += size
        held = max(held, min(at, len(text)) - len(shown)) if "***" not in shown else held
    return shown + screen.close(), held


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 100])
@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_screened_however_it_is_split(form, size):
    """What comes out in pieces is what `mask` makes of the whole, and the rest of the text is all there."""
    text = f"ny = get({form!r})\n# sk-can is no key, nor is {KEY[:5]}\n{form}\njoin({form}"
    shown, held = screened(text, iter([size] * len(text)))
    assert shown == mask(text, KEYS)
    assert "***" in shown
    assert held < PIECE


def test_any_text_is_screened_as_it_is_masked():
    """Pieces of keys in any order, in any chunking; the seed is the turn."""
    for turn in range(300):
        random = Random(turn)
        parts = [random.choice([form, form[random.randrange(len(form)) :], "x", "\n", " and "]) for form in FORMS]
        random.shuffle(parts)
        text = "".join(parts)
        shown, _ = screened(text, iter(random.choices([1, 3, 7, 20], k=len(text))))
        assert shown == mask(text, KEYS), turn


def test_a_line_is_never_held_back():
    """A plan's line is released at once, whatever key is looked for; so is an end that no key goes on with."""
    screen = Screen([Secret("sk-line\n0123456789"), *KEYS])
    for line in ("a = get(sk-can\n", "b = c\n", "\n", KEY[:7] + "\n"):
        assert screen.feed(line) == line
    assert screen.feed('d = get("x")') == 'd = get("x")'
    assert screen.feed("sk-can") == ""
    assert screen.feed("t ") == "sk-cant "


def test_a_screen_without_a_key_lets_all_pass():
    """Nothing is looked for if there is no key, or if it is too short to be one."""
    screen = Screen([Secret("none"), Secret("")])
    assert (screen.feed("none of it"), screen.feed(""), screen.close()) == ("none of it", "", "")
