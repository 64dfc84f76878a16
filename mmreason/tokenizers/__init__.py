"""Text and image tokenizers, and the one place that knows where ids, positions and segments lie."""
