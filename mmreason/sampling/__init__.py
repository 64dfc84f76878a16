"""Sampling: what to commit, the scheduler, and the pipeline that interleaves thoughts and edits."""
