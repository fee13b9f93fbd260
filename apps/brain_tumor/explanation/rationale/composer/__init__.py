"""Sentences from facts, in English and Korean."""
