"""A training as files and lines: its directory, progress, and slices of it."""
