"""One rule for names, whoever writes them: tools are refused by it when they are made, plans when they are read."""

import pytest

from compiler_nb import Plan, PlanError, ToolError, tool
from compiler_nb.signature.names import NAME_LIMIT, is_nameable


@pytest.mark.parametrize("name", ["weather", "w" * NAME_LIMIT, "日本", "x_2"])
def test_a_tool_whose_name_a_plan_can_write_is_called_in_every_dialect(name):
    """The longest one, too, and one in any alphabet."""
    made = tool(name=name)(lambda x: x)
    for dialect, text in {
        "python": f"a = {name}(1)\njoin(a)\n",
        "numbered": f"1. {name}(1)\n2. join($1)\n",
        "json": f'{{"tasks": [{{"id": "a", "tool": "{name}", "args": {{"x": 1}}}}]}}',
    }.items():
        assert [task.tool for task in Plan.parse(text, dialect=dialect, tools=[made]).tasks] == [name]


@pytest.mark.parametrize("name", ["_w", "w" * (NAME_LIMIT + 1), "\ufb01nd"])
def test_a_name_that_plans_refuse_is_no_tools_name(name):
    """So no tool drops out of a grammar in silence; plan and tool give the same reason."""
    assert not is_nameable(name)
    with pytest.raises(ToolError) as tools:
        tool(name=name)(lambda: None)
    with pytest.raises(PlanError) as plans:
        Plan.parse(f"1. {name}(1)\n", dialect="numbered")
    reason, _, fix = str(tools.value).removesuffix(": @tool(name='...')").partition(", so no plan can call this tool; ")
    assert f"{reason}; {fix}" in str(plans.value)
