"""Two dates of one patient: diameters, and what grew, came and went."""
