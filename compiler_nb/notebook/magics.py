"""The magics: `%%compile`, `%%plan`, `%%prompt` and `%compile VERB`, and how they are registered with a shell.

Each parses, calls and shows; the work is done elsewhere. What does the work is imported by the first magic, so that
loading the extension takes no time.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Final

from IPython.core.completer import context_matcher
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from traitlets import TraitError
from traitlets.config import Config

from compiler_nb.notebook import loop
from compiler_nb.notebook.cell import AWAITED, RERUN, cell_label, drop_comments, rewrite
from compiler_nb.notebook.desk import CellSettings, Desk
from compiler_nb.notebook.output.errors import message_only
from compiler_nb.tracebacks import LABELS

NAME: Final = "CompileMagics"
FIGURE: Final = "matplotlib.figure.Figure"
EVENTS: Final = ("pre_run_cell", "post_run_cell")


@magics_class
class CompileMagics(Magics, CellSettings):
    """`%%compile` answers a question, `%%plan` runs a plan, `%%prompt` saves a prompt, `%compile VERB` all else."""

    def __init__(self, shell: Any, **kwargs: Any) -> None:
        super().__init__(shell, **kwargs)
        self.desk = Desk(shell, self)
        self.rewriter = functools.partial(rewrite, shell)
        self.label = functools.partial(cell_label, shell)

    @no_var_expand
    @cell_magic("compile")  # type: ignore[arg-type]  # annotated for plain functions only
    def compile_cell(self, line: str, body: str) -> None:
        """Answer the question in the cell: `%%compile -h` lists the options."""
        self._block("compile", line, body)

    @no_var_expand
    @cell_magic("plan")  # type: ignore[arg-type]  # as above
    def plan_cell(self, line: str, body: str) -> None:
        """Run the plan in the cell: `%%plan -h` lists the options."""
        self._block("plan", line, body)

    @no_var_expand
    @cell_magic("prompt")  # type: ignore[arg-type]  # as above
    def prompt_cell(self, line: str, body: str) -> None:
        """Save a prompt under a name: `%%prompt -h` says how."""
        from compiler_nb.notebook.prompts import save_cell  # noqa: PLC0415 - see above

        with message_only():
            save_cell(self.desk, line, body)

    @no_var_expand
    @line_magic("compile")  # type: ignore[arg-type]  # as above
    def compile_line(self, line: str) -> None:
        """Do the rest: `%compile help` lists the verbs."""
        from compiler_nb.notebook.verbs.line import perform  # noqa: PLC0415 - see above

        with message_only():
            perform(self.desk, line)

    def _block(self, magic: str, line: str, body: str) -> None:
        from compiler_nb.notebook.begin import begin_cell  # noqa: PLC0415 - see above

        with message_only():
            job = begin_cell(self.desk, magic, line, body, outermost=False)
            if job is not None:
                job.finish(loop.block(job))

    async def perform_awaited(self, magic: str, line: str, body: str) -> None:
        """Do what the outermost cell says; the cell awaits this."""
        from compiler_nb.notebook.begin import begin_cell  # noqa: PLC0415 - see above

        with message_only():
            job = begin_cell(self.desk, magic, line, body, outermost=True)
            if job is not None:
                job.finish(await loop.wait(job, functools.partial(loop.say_busy, self.shell)))

    async def rerun_awaited(self, line: str) -> None:
        """Do what a line `%compile rerun` says; the cell, which begins with it, awaits this."""
        from compiler_nb.notebook.verbs.again import begin_rerun, rerun  # noqa: PLC0415 - see above
        from compiler_nb.notebook.verbs.line import read  # noqa: PLC0415 - see above

        with message_only():
            verb, words, options = read(line)
            if verb.perform is not rerun:  # its help
                verb.perform(self.desk, words, options)
                return
            job = begin_rerun(self.desk, words, options)
            if job is not None:
                job.finish(await loop.wait(job, functools.partial(loop.say_busy, self.shell)))

    def inspect_mime(self, oname: str, detail_level: int = 0, omit_sections: Any = ()) -> Any:
        """Return what Shift-Tab shows of a name, by MIME type. Raises KeyError if the name is not known."""
        from compiler_nb.notebook.tips import inspect_mime  # noqa: PLC0415 - see above

        return inspect_mime(self.shell, oname, detail_level, omit_sections)

    @context_matcher(identifier="compiler_nb")  # type: ignore[untyped-decorator]
    def complete(self, context: Any) -> Any:
        """Return what completes options, verbs and names at the cursor, in IPython's shape."""
        from compiler_nb.notebook.complete import match  # noqa: PLC0415 - see above

        return match(context, self.desk.memory.names)


def load(shell: Any) -> None:
    """Register the magics and what they need with a shell; does nothing if they are registered already."""
    if isinstance(shell.magics_manager.registry.get(NAME), CompileMagics):
        return
    _drop_wrong_settings(shell)
    magics = CompileMagics(shell)
    shell.register_magics(magics)
    for magic, hidden in AWAITED.items():
        perform = no_var_expand(functools.partial(magics.perform_awaited, magic))
        shell.register_magic_function(perform, "cell", hidden)
    shell.register_magic_function(no_var_expand(functools.partial(magics.rerun_awaited)), "line", RERUN)
    shell.input_transformers_cleanup.append(drop_comments)
    shell.input_transformers_post.append(magics.rewriter)
    shell.Completer.custom_matchers.append(magics.complete)
    for event in EVENTS:
        shell.events.register(event, magics.desk.idle.run_waiting)
    LABELS.append(magics.label)
    pictures = shell.display_formatter.formatters["image/png"]
    if FIGURE not in pictures:  # a figure of `plot` shows itself, too, if pyplot was never loaded
        pictures.for_type_by_name(*FIGURE.rsplit(".", 1), _picture)
    shell.object_inspect_mime = magics.inspect_mime


def unload(shell: Any) -> None:
    """Remove everything that `load` has registered."""
    magics = shell.magics_manager.registry.pop(NAME, None)
    if magics is None:
        return
    for kind, names in {"line": ["compile", RERUN], "cell": ["compile", "plan", "prompt", *AWAITED.values()]}.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    LABELS.remove(magics.label)
    pictures = shell.display_formatter.formatters["image/png"]
    if FIGURE in pictures and pictures.lookup_by_type(FIGURE) is _picture:
        pictures.pop(FIGURE)
    del shell.object_inspect_mime
    ours = (magics, drop_comments, magics.rewriter, magics.complete)
    # if the magics stayed in `configurables`, `%config` would go on to set them without any effect
    for registered in (
        shell.configurables, shell.input_transformers_cleanup, shell.input_transformers_post,
        shell.Completer.custom_matchers,
    ):  # fmt: skip
        registered[:] = [each for each in registered if each not in ours]
    for event in EVENTS:
        if magics.desk.idle.run_waiting in shell.events.callbacks[event]:
            shell.events.unregister(event, magics.desk.idle.run_waiting)


def _picture(figure: Any) -> bytes:
    """Return the PNG of a figure of matplotlib."""
    from compiler_nb.values.pictures import png_of  # noqa: PLC0415 - see above

    return png_of(figure)


def _drop_wrong_settings(shell: Any) -> None:
    """Drop invalid settings with a warning: `%config` keeps them, so that every later load would fail."""
    given = shell.config.get(NAME, {})
    for name in list(given):
        try:
            CellSettings(config=Config({CellSettings.__name__: {name: given[name]}}))
        except TraitError as error:
            del given[name]
            warnings.warn(f"{NAME}.{name} is left at its default: {error}", stacklevel=3)
