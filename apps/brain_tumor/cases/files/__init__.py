"""Volumes and series on disk, and how they get there whole."""
