"""Layouts: what a checkpoint family is shown for one segment, its ids and its prompts, one file a family."""

TURNS = ("interleaved", "joint")  # a turn's words and then its picture, or both denoised together
FAMILIES = ("dimoo", "parallel", "mmada")  # the public ones, in the order in which they came
