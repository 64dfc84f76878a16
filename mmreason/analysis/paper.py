"""What the paper reports (arXiv 2606.14792), as shares."""

FLOPS_REDUCTION = 0.269  # localized edits, against "AR baselines" in one abstract, "full-image editing" in another
GAINS = {"gain_over_joint": 0.112, "gain_over_base": 0.3804}  # of factorized rewards
