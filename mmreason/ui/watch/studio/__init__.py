"""Public checkpoints in the tab Watch: pictures and instructions of the visitor's own, and puzzles."""
