"""Networks that were trained elsewhere: read as data, never executed, then used like our own."""
