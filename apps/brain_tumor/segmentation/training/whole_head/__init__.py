"""Training of the whole-head network."""
