"""Versions of the models and which one is in use."""
