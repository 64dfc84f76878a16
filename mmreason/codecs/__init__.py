"""Codecs: pixels to codes and back, one file a kind."""
