"""What is measured of a policy: held-out success, compute, interference, the results reproduced."""
