"""The tab Cost."""
