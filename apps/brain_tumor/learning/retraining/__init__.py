"""A training from corrections, in a process of its own."""
