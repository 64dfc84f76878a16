"""Training before rewards: the image tokenizer and demonstrations."""
