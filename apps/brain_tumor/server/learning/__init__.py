"""Corrections, proposals and trainings as the server runs them."""
