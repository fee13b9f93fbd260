"""Training of the network of the sub-regions."""
