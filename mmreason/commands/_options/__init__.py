"""Options that several commands take, and what reads and checks them."""
