"""Documents and what writes them."""
