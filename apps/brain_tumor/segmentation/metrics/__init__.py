"""Overlap, distances and lesions of two labelmaps."""
