"""The page's side as it is sent: one module and one style sheet, which ask for nothing."""

import re

from compiler_nb.notebook.live.widget import FOLDER, MODULES, module, style


def test_the_module_is_all_files_in_their_order():
    """Each file comes after those that it imports, and nothing is imported from anywhere else."""
    files = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.js")}
    assert set(files) == set(MODULES)
    for number, name in enumerate(MODULES):
        wanted = re.findall(r'^import .* from "\./(\w+)\.js";$', files[name], re.MULTILINE)
        assert set(wanted) <= set(MODULES[:number]), name
    joined = module()
    assert not re.findall(r"^import |^export (?!default)", joined, re.MULTILINE)
    assert joined.count("export default") == 1
    assert "http" not in joined.replace("http://www.w3.org/", "")


def test_the_style_sheet_asks_for_nothing():
    """No address, no import, and the pictures' own style is in it."""
    assert "url(" not in style()
    assert "@import" not in style()
    assert ".cnb-box" in style()
