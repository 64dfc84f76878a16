"""Rewards: verifying segments, and turning rewards into advantages."""
