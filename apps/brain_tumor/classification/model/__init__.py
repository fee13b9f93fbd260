"""The hybrid network, its calibration and what it refuses to name."""
