"""The page: one file per tab, its components, and what they share."""
