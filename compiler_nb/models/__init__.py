"""Models: one method, `stream`, and what implements it."""
