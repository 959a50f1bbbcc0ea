"""What a cell shows: the static output of a run, answers, lines in a terminal, and who shows them when."""
