"""Facts in words, checked."""
