"""The LLMCompiler pattern in a Jupyter notebook: a question becomes a plan, runs in parallel, leaves variables."""
