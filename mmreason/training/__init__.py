"""Training: the image tokenizer, the supervised stage, and reinforcement learning."""
