"""A task as ``make task`` writes it, and its tests: code that runs here as it does there."""
