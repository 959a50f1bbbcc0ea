"""Lines `%compile VERB ...`, as users write them."""

from __future__ import annotations

import pytest

from tests.support.shell import told

COVERS = ("command.py", "table.py")


def test_help(shell, capsys):
    """Alone it lists options and verbs; a verb has its own; every way to ask works."""
    whole = told(shell, capsys, "%compile")
    assert whole == told(shell, capsys, "%compile help") == told(shell, capsys, "%compile -h")
    assert "  model [MODEL" in whole
    assert "--planner MODEL" in whole
    assert told(shell, capsys, "%compile help runs") == told(shell, capsys, "%compile runs -h")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("step x", "OptionError: %compile step does not exist yet"),
        ("edit x", "no run is called 'x'"),
        ("skip", "which task? %compile show lists them; write: %compile skip TASK [RUN]"),
        ("set x", "%compile set takes a task and its value; write: %compile set TASK EXPRESSION [--run RUN]"),
        ("set x 5", "OptionError: there is no run yet"),
        ("run x", "OptionError: %compile has no verb 'run'. Did you mean 'runs'? The verbs are: help, model"),
        ("rerun x", "no run is called 'x'"),
        ("rerun -1 --start", "--start needs a value"),
        ("rerun a b", "%compile rerun does not take 'b'; write: %compile rerun [NAME <<] [RUN] [--start TASK]"),
        ("rerun --override", "--override needs a value: --override TASK=VALUE"),
        ("rerun --override 5", "--override takes TASK=VALUE, such as best=[1, 2], not 5: it has no name"),
        (
            "rerun --override b=open('x')",
            "not b=open('x'): it calls a function: do that in a cell above, and name the result here",
        ),
        ("rerun --override b=", "not b=: this is not a line of a plan"),
        ("show --override b=1", "%compile show has no option --override; it has -d VIEWS"),
        ("modle", "Did you mean 'model'?"),
        ("help step", "OptionError: %compile step does not exist yet"),
        ("rerun --from x", "%compile rerun has no option --from; it has --start TASK and --failed and --override"),
        (
            "Which is warmer",
            "%compile has no verb 'Which'. A question, and options, stand in a cell that begins with %%comp",
        ),
        (
            "-m planner",
            "%compile has no verb '-m'. A question, and options, stand in a cell that begins with %%compile",
        ),
        ("pause --all", "OptionError: %compile pause has no option --all"),
        ("show", "OptionError: there is no run yet: %%compile makes one"),
        ("show nobody", "no run is called 'nobody'"),
        ("cancel -9", "OptionError: there is no run yet"),
        ("runs now", "%compile runs does not take 'now'; write: %compile runs [--keep N]"),
        ("runs --keep", "%compile runs: --keep needs a value: --keep N"),
        ("runs --keep -1", "--keep takes a number of runs, 0 or more, not '-1'"),
        ("runs --keep 3 x", "%compile runs does not take 'x'"),
        ("runs --keep 3", "there is no history"),
        ("model --kye", "%compile model has no option --kye; it has --key and --check"),
        ("model m x", "'x' is not a setting"),
        ("model", "NoModel: no model is set. Choose one with"),
        ("model nobody", "no variable is called 'nobody'"),
        ("show 'x", "%compile: No closing quotation"),
    ],
)
def test_wrong_lines(shell, line, message):
    """Each is a short error that says what there is."""
    assert message in shell.error(f"%compile {line}")
