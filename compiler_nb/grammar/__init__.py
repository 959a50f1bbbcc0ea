"""What plans and replies may say, as a grammar for an engine that holds a model to it."""
