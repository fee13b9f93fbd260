"""What a case is: sequences, geometry, import, preprocessing."""
