"""A group of rollouts, opened: rewards, advantages, branches."""
