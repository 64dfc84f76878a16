"""What the cells of the later tasks look like."""
