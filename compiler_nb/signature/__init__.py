"""What a function takes and returns: types as text, the checks of values, and arguments bound to parameters."""
