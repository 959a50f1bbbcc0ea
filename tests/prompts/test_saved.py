"""Prompts that users save under names."""

from __future__ import annotations

import pytest

from compiler_nb import Compiler, History, ScriptedModel, save_prompt, saved_prompts
from compiler_nb.errors import HistoryError
from compiler_nb.history.kept import Kept
from compiler_nb.models.providers import set_key
from compiler_nb.prompts import SLOTS, WORDINGS, load_worded, saved
from compiler_nb.prompts.saved import SavedPrompt, find_prompt, problem_of, shipped_text

TEXT = "Be terse.\n{{rules}}\n{{tools}}\n{{examples}}\n"
LISTED = "its slots are {{rules}}, {{tools}}, {{examples}}"


@pytest.fixture(autouse=True)
def _shelf(monkeypatch):
    """Begin as a new session does."""
    monkeypatch.setattr(saved, "_SHELF", {})


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("role", SLOTS)
def test_the_prompts_that_ship_can_be_saved_as_they_are(role, wording):
    """Their slots are those that a saved one must have, and its version is then theirs."""
    made = save_prompt(role, "mine", shipped_text(role, wording))
    assert made.text == load_worded(role, wording).text.strip() + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("Plan it.", f"has no {{{{tools}}}}, so the model would be told of no tools; {LISTED}"),
        ("{{tools}} {{rules}}", f"has no {{{{examples}}}}; {LISTED}"),
        ("{{tools}}", f"has no {{{{rules}}}} and no {{{{examples}}}}; {LISTED}"),
        (TEXT + "{{wands}}", f"has {{{{wands}}}}, which nothing fills; {LISTED}"),
        (TEXT + "x" * 2**20, "has 1,048,620 characters; at most 200,000 are taken"),
        (TEXT + "\x89PNG\r\n\x1a\n\x00", "holds the character U+0089 in line 5: a prompt is text"),
        (TEXT + "\ud800", "holds the character U+D800 in line 5"),
        (TEXT + "\x00", "holds the character U+0000 in line 5"),
        (b"bytes", "a prompt is text, not bytes"),
        (None, "a prompt is text, not NoneType"),
    ],
)
def test_a_text_that_cannot_be_used_is_not_saved(text, words):
    """The message lists the slots, or says what is wrong and where."""
    with pytest.raises(ValueError, match=r".") as caught:
        save_prompt("planner", "terse", text)
    assert words in str(caught.value)
    assert saved_prompts() == []


@pytest.mark.parametrize(
    "name", ["", "two words", "1st", "a/b", "../x", "auto", "small", "list", "x" * 65, "a@b", 7, "_x"]
)
def test_a_name_that_is_no_name_is_refused(name):
    """In words that say what one is."""
    with pytest.raises(ValueError, match="a name has up to 64 letters, digits, _ and -, and begins with a letter"):
        save_prompt("planner", name, TEXT)


def test_a_role_without_a_prompt_to_replace_is_refused():
    """With the roles that there are."""
    for role in ("repair", "plannr", "worker"):
        with pytest.raises(ValueError, match=f"those of planner and joiner; '{role}' is not one of them"):
            save_prompt(role, "terse", TEXT)


def test_a_key_is_not_saved(monkeypatch):
    """What is saved is sent and stored."""
    monkeypatch.setenv("FRIENDLI_TOKEN", "")
    set_key("friendli", "sk-secret-key-0123456789")
    with pytest.raises(ValueError, match="holds a key"):
        save_prompt("joiner", "mine", "Use sk-secret-key-0123456789.")


def test_all_versions_are_kept_and_the_newest_counts():
    """A version is found by the beginning of its digits; a text that is saved again becomes the newest."""
    first, second = save_prompt("planner", "terse", TEXT), save_prompt("planner", "terse", TEXT + "Really.")
    assert find_prompt("planner", "terse") == second
    assert find_prompt("planner", first.label) == find_prompt("planner", first.label[:10]) == first
    assert [each.label for each in saved_prompts()] == [second.label, first.label]
    again = save_prompt("planner", "terse", f"\n\n{TEXT.replace(chr(10), chr(13) + chr(10))}\n\n")
    assert (again.text, again.version) == (first.text, first.version)
    assert find_prompt("planner", "terse").version == first.version
    assert len(saved_prompts()) == 2


def test_an_unknown_name_is_told_with_those_there_are():
    """And with the one that was probably meant, or how to save the first."""
    with pytest.raises(ValueError, match=r"is called 'x'\. None is saved; %%prompt planner NAME"):
        find_prompt("planner", "x")
    known = save_prompt("planner", "terse", TEXT)
    save_prompt("planner", "long", TEXT + "More.")
    save_prompt("joiner", "brief", "Answer briefly.")
    with pytest.raises(ValueError, match=r"'trse'. Did you mean 'terse'\? There are: long, terse"):
        Compiler(prompts={"planner": "trse"})
    with pytest.raises(ValueError, match=f"'terse' has no version '0000'; it has {known.label}"):
        find_prompt("planner", "terse@0000")


def test_a_run_says_which_prompt_and_version_it_used(tmp_path):
    """In its settings and its first event, and so does the stored one; a text without a name has its version alone."""
    with History(tmp_path / "runs.db") as history:
        made = save_prompt("planner", "terse", TEXT, history=history)
        model = ScriptedModel({"planner": "x = max(1, 2)\njoin(x)", "joiner": "Yes."}, repeat=True)
        own = {"planner": "terse", "joiner": "In one word."}
        run = Compiler(model, prompts=own, history=history).run_sync("Is it?")
        assert run.prompt().startswith("[system]\nBe terse.\n")
        assert run.prompt("joiner").startswith("[system]\nIn one word.\n")
        names = {"planner": made.label, "joiner": SavedPrompt("joiner", "", "In one word.").label}
        assert names["joiner"].startswith("@")
        assert run.settings.variants == run.events[0].prompts == names
        stored = history.load(run.id)
        assert stored.settings.variants == stored.events[0].prompts == names
        assert Compiler(model, history=history).run_sync("Is it?").settings.variants == {}


def test_a_history_brings_saved_prompts_into_the_next_session(tmp_path, monkeypatch):
    """With all versions; those of this session go first."""
    with History(tmp_path / "runs.db") as history:
        first = save_prompt("planner", "terse", TEXT, history=history)
        second = save_prompt("planner", "terse", TEXT + "Really.", history=history)
        monkeypatch.setattr(saved, "_SHELF", {})
        assert saved_prompts() == []
        assert [each.label for each in saved_prompts(history)] == [second.label, first.label]
        assert find_prompt("planner", "terse", history) == second
        assert find_prompt("planner", first.label, history) == first
        assert Compiler(prompts={"planner": "terse"}, history=history).settings.prompts["planner"] == second.text
        here = save_prompt("planner", "terse", TEXT + "Here.")
        assert find_prompt("planner", "terse", history) == here
        assert [each.label for each in history.prompts("planner", "terse")] == [second.label, first.label]


def test_a_stored_prompt_that_this_version_cannot_use_is_named(tmp_path, monkeypatch):
    """Its slots may be those of another version of the package; the others are found still."""
    with History(tmp_path / "runs.db") as history:
        save_prompt("planner", "terse", TEXT, history=history)
        monkeypatch.setattr(saved, "_SHELF", {})
        monkeypatch.setitem(SLOTS, "planner", ("rules", "tools", "shapes"))
        with pytest.raises(
            ValueError, match=r"the saved planner prompt terse@\w+ cannot be used: it has \{\{examples\}\}"
        ):
            Compiler(prompts={"planner": "terse"}, history=history)
        assert "edit it: %compile prompt planner --edit terse" in problem_message(history)
        assert problem_of(saved_prompts(history)[0])


def problem_message(history):
    """Return why `terse` cannot be used."""
    with pytest.raises(ValueError, match=r".") as caught:
        find_prompt("planner", "terse", history)
    return str(caught.value)


def test_a_row_that_is_no_prompt_is_damage(tmp_path):
    """It is an error that names the history, and loads nothing."""
    with History(tmp_path / "runs.db") as history:
        for data in ("text", {"role": "planner"}, {"role": 1, "name": "x", "text": "y"}):
            history.put("prompts", [Kept("planner terse 1", "planner terse", data)])
            with pytest.raises(HistoryError):
                history.prompts()
