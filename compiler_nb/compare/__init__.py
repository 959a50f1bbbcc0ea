"""Grids of runs: questions x variants of a compiler x repetitions, resumable, bounded and scored."""
