"""Anybody's rollouts, read without weights: what is in them, how rewards push, and what to look at first."""
