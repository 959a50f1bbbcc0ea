"""What a cell shows: the static output of a run, answers, lines in a terminal, and what shows them when."""
