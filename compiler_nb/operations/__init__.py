"""What operators, functions and methods of the plan language do to values, within bounds."""
