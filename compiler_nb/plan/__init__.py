"""The plan language: data, three dialects, checks. Pure: no clock, no loop, no notebook."""
