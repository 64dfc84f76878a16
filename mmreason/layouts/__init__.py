"""Layouts: what a checkpoint family is shown for one segment, its ids and its prompts, one file a family."""

FAMILIES = ("dimoo", "parallel", "mmada")  # the public ones, in the order in which they came
