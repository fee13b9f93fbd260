"""Outlining the tumour: networks, whole-volume inference, training, metrics."""
