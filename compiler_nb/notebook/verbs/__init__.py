"""The verbs of `%compile`: by idea, with one table (`table`) and one reader of lines (`line`)."""
