"""How two runs differ: what they were asked, their plans, what came of their tasks, answers and figures."""
