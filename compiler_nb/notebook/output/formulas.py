"""Formulas in an answer: which ones a page may typeset, and how they are marked for its own renderer.

A page's TeX has commands that link, load, style and define, so only formulas whose commands are all listed here are
left to it; every other one is shown as it is written. Money is no formula: `$5 to $6` has no TeX in it.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

LONGEST: Final = 1_000
INLINE: Final = (
    r"(?<![\\$\w])\$\$(?P<block>[^$\n]+)\$\$(?![\d$])|(?<![\\$\w])\$(?P<tex>(?![\s$])[^$\n]*?[^\s$\\])\$(?![\d$])"
    rf"|\\\\\((?P<doubled>[^\n]{{1,{LONGEST}}}?)\\\\\)|\\\((?P<paren>[^\n]{{1,{LONGEST}}}?)\\\)"
)
"""The delimiters of a formula within a line: `$x^2$` or `\\(x^2\\)`, or `$$x^2$$`, which a page sets on its own.

`\\\\(x^2\\\\)` is how the second one looks when its backslashes were doubled, as models do in quoted texts.
"""
_WORDS: Final = """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
    frac dfrac tfrac sqrt binom sum prod int iint oint lim limsup liminf max min sup inf arg det dim exp ln log sin cos
    tan cot sec csc arcsin arccos arctan sinh cosh tanh gcd Pr
    cdot times div pm mp ast star circ bullet oplus otimes le leq ge geq ne neq approx equiv sim simeq cong propto ll gg
    in notin ni subset subseteq supset supseteq cup cap setminus emptyset forall exists neg land lor to gets rightarrow
    leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow implies iff mapsto infty partial nabla prime hbar ell
    Re Im aleph angle perp parallel mid dots ldots cdots vdots ddots quad qquad
    left right big Big bigg Bigg bigl bigr Bigl Bigr langle rangle lceil rceil lfloor rfloor lvert rvert lVert rVert
    hat bar tilde vec dot ddot overline underline overbrace underbrace widehat widetilde
    text mathrm mathbf mathit mathbb mathcal mathsf mathtt operatorname boldsymbol begin end hline
    displaystyle textstyle limits nolimits not stackrel overset underset
"""
_PARTS: Final = "matrix pmatrix bmatrix Bmatrix vmatrix Vmatrix cases aligned align* align gathered array split"
COMMANDS: Final = frozenset(_WORDS.split())
ENVIRONMENTS: Final = frozenset(_PARTS.split())
_COMMAND: Final = re.compile(r"\\([A-Za-z]+)")
_ENVIRONMENT: Final = re.compile(r"\\(?:begin|end)\s*\{([^}]*)\}")
_TEX: Final = re.compile(r"[\\^_=]|^[A-Za-z]'?$")


def is_formula(tex: str) -> bool:
    """Whether a text between delimiters is a formula that a page may typeset."""
    return (
        len(tex) <= LONGEST
        and tex.isprintable()
        and _TEX.search(tex) is not None
        and "%" not in tex.replace("\\%", "")
        and COMMANDS.issuperset(_COMMAND.findall(tex))
        and ENVIRONMENTS.issuperset(_ENVIRONMENT.findall(tex))
    )


def undoubled(tex: str) -> str:
    """Return a formula whose backslashes were all doubled as it was meant."""
    return tex.replace("\\\\", "\\")


def formula_html(tex: str, *, block: bool = False) -> str:
    """Return a formula as HTML that the page's own renderer typesets; without one it shows its source."""
    mark = "$$" if block else "$"
    return f'<span class="mathjax_process tex2jax_process">{mark}{escape(tex)}{mark}</span>'
