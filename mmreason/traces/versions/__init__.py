"""The two versions of a trace file, and how ours are written as either."""
