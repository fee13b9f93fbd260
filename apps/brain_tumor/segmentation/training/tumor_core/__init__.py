"""Training of the network of the undivided core."""
