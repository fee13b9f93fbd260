"""Model cards, written from metrics."""
