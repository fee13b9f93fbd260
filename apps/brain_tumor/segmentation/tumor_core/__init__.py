"""Tumour core from a lone T1c image, slice by slice."""
