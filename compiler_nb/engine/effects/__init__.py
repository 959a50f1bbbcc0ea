"""Calls with side effects: whether they may start, who is asked, and which were made."""
