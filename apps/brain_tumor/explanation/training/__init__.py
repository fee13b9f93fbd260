"""What is written once for a classifier: references and the sanity of heat."""
