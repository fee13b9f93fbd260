"""The studies folder: volumes, labels and their history."""
