"""Solving for visitors: what they ask, the batch that does it, what they see of it."""
