"""How the sequences of a case lie on each other, and bringing them together where they do not."""
