"""The tab Watch."""
