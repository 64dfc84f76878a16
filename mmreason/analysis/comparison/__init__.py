"""Joint against factorized rewards: the protocol, its runs, what they say."""
