"""Engines perform tasks: a pure schedule decides what may start, an engine starts it."""
