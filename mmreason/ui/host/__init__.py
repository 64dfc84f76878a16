"""The machine that the page runs on: settings, checkpoints, GPU, files, logs."""
