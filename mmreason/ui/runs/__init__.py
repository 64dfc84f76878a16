"""Visitors' trainings: who they belong to, how they stand, what they may take."""
