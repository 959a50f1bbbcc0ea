"""The planner: a question and tools go in, tasks come out while the model writes."""
