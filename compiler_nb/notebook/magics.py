"""The magics: `%%compile`, `%%plan` and `%compile VERB`. Each parses, calls and shows; the work is done elsewhere.

What does the work is imported by the first magic, so that loading the extension takes no time.
"""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from compiler_nb.notebook import loop
from compiler_nb.notebook.desk import CellSettings, Desk
from compiler_nb.notebook.output.errors import message_only


@magics_class
class CompileMagics(Magics, CellSettings):
    """`%%compile` answers a question, `%%plan` runs a plan, `%compile VERB` does the rest."""

    def __init__(self, shell: Any, **kwargs: Any) -> None:
        super().__init__(shell, **kwargs)
        self.desk = Desk(shell, self)

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
    async def compile_awaited(self, line: str, body: str) -> None:
        """Answer the question in the outermost cell, which awaits this."""
        await self._await("compile", line, body)

    @no_var_expand
    async def plan_awaited(self, line: str, body: str) -> None:
        """Run the plan in the outermost cell, which awaits this."""
        await self._await("plan", line, body)

    @no_var_expand
    @line_magic("compile")  # type: ignore[arg-type]  # as above
    def compile_line(self, line: str) -> None:
        """Do the rest: `%compile help` lists the verbs."""
        from compiler_nb.notebook.verbs import perform  # noqa: PLC0415 - see above

        with message_only():
            perform(self.desk, line)

    def _block(self, magic: str, line: str, body: str) -> None:
        from compiler_nb.notebook.job import begin_cell  # noqa: PLC0415 - see above

        with message_only():
            job = begin_cell(self.desk, magic, line, body, outermost=False)
            if job is not None:
                job.finish(loop.block(job))

    async def _await(self, magic: str, line: str, body: str) -> None:
        from compiler_nb.notebook.job import begin_cell  # noqa: PLC0415 - see above

        with message_only():
            job = begin_cell(self.desk, magic, line, body, outermost=True)
            if job is not None:
                job.finish(await loop.wait(job))
