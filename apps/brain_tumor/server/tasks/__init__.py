"""Infer tasks and what they share."""
