"""Backbones: the network behind a checkpoint family, its attention mode, its cost and its adapters."""
