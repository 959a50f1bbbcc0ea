"""A plan as a plain asyncio script, which needs nothing of this package."""
