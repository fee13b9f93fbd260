"""Whether heat shows what the network used."""
