"""The LLMCompiler pattern in a Jupyter notebook: a question becomes a plan, runs in parallel, leaves variables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from compiler_nb.tool import Tool, Toolbox, tool  # at once: later, `tool` would be the module of that name

if TYPE_CHECKING:
    from compiler_nb.compiler import Compiler
    from compiler_nb.errors import (
        ArgumentError,
        AuthenticationFailed,
        BadRequest,
        ClusterError,
        CompilerError,
        EffectInDoubt,
        ExpressionError,
        HistoryError,
        ModelError,
        ModelRefused,
        ModelTimeout,
        NoModel,
        NotRecorded,
        OptionError,
        PlanError,
        Problem,
        ProviderUnavailable,
        QuotaExceeded,
        RateLimited,
        RunClaimed,
        RunFailed,
        ServerLost,
        StreamBroken,
        ToolError,
        ToolUnavailable,
    )
    from compiler_nb.history import History
    from compiler_nb.models.base import Chunk, Model, Request
    from compiler_nb.models.cassette import Cassette
    from compiler_nb.models.connect import connect
    from compiler_nb.models.hand import HandModel
    from compiler_nb.models.limits import Limit
    from compiler_nb.models.openai import OpenAIModel
    from compiler_nb.models.prices import set_price
    from compiler_nb.models.scripted import ScriptedModel
    from compiler_nb.operations.bounds import Bounds
    from compiler_nb.outcome import Answer, Cancelled, Failure, Replan, Skipped, Usage
    from compiler_nb.plan.plan import Plan
    from compiler_nb.plan.task import Join, Return, Task
    from compiler_nb.plan.tree import Input, Ref
    from compiler_nb.prompts.saved import save_prompt, saved_prompts
    from compiler_nb.run import Run
    from compiler_nb.settings.budget import Budget
    from compiler_nb.toolbox.mcp import mcp_tools

__all__ = [
    "Answer",
    "ArgumentError",
    "AuthenticationFailed",
    "BadRequest",
    "Bounds",
    "Budget",
    "Cancelled",
    "Cassette",
    "Chunk",
    "ClusterError",
    "Compiler",
    "CompilerError",
    "DaskEngine",
    "EffectInDoubt",
    "ExpressionError",
    "Failure",
    "HandModel",
    "History",
    "HistoryError",
    "Input",
    "Join",
    "Limit",
    "Model",
    "ModelError",
    "ModelRefused",
    "ModelTimeout",
    "NoModel",
    "NotRecorded",
    "OpenAIModel",
    "OptionError",
    "Plan",
    "PlanError",
    "Problem",
    "ProviderUnavailable",
    "QuotaExceeded",
    "RateLimited",
    "Ref",
    "Replan",
    "Request",
    "Return",
    "Run",
    "RunClaimed",
    "RunFailed",
    "ScriptedModel",
    "ServerLost",
    "Skipped",
    "SteerError",
    "StreamBroken",
    "Task",
    "Tool",
    "ToolError",
    "ToolUnavailable",
    "Toolbox",
    "Usage",
    "connect",
    "mcp_tools",
    "save_prompt",
    "saved_prompts",
    "set_price",
    "tool",
]
__version__ = "0.1.0"

_ROOMS = {
    "compiler": "Compiler",
    "settings.budget": "Budget",
    "models.limits": "Limit",
    "engine.cluster.engine": "DaskEngine",
    "history": "History",
    "errors": (
        "ArgumentError AuthenticationFailed BadRequest ClusterError CompilerError EffectInDoubt ExpressionError "
        "HistoryError ModelError ModelRefused ModelTimeout NoModel NotRecorded OptionError PlanError Problem "
        "ProviderUnavailable QuotaExceeded RateLimited RunClaimed RunFailed ServerLost SteerError StreamBroken "
        "ToolError ToolUnavailable"
    ),
    "models.base": "Chunk Model Request",
    "models.cassette": "Cassette",
    "models.connect": "connect",
    "models.hand": "HandModel",
    "models.openai": "OpenAIModel",
    "models.prices": "set_price",
    "models.scripted": "ScriptedModel",
    "outcome": "Answer Cancelled Failure Replan Skipped Usage",
    "operations.bounds": "Bounds",
    "plan.plan": "Plan",
    "plan.task": "Join Return Task",
    "plan.tree": "Input Ref",
    "prompts.saved": "save_prompt saved_prompts",
    "run": "Run",
    "toolbox.mcp": "mcp_tools",
    "notebook": "load_ipython_extension unload_ipython_extension",  # which IPython calls for %load_ext and %unload_ext
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Return a public name from its room, which is imported when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"compiler_nb has no {name!r}")
    value = globals()[name] = getattr(import_module(f"compiler_nb.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
