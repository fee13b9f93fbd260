"""Heat of a network's answer, from slices to a volume."""
