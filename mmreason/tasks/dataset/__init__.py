"""A dataset folder as a task: ``data:FOLDER``."""
