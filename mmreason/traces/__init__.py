"""Trace files: their schema, writing, reading, rebuilding the record, and the replay as a GIF."""
