"""Tumour type: slices, boundary, morphology, chaos, hybrid network, calibration."""
