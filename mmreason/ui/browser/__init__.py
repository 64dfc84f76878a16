"""Solving in the visitor's own browser: what is written there of a checkpoint, and the puzzles it is given."""
