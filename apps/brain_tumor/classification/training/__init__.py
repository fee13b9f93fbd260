"""Training of the tumour-type classifier."""
