"""Voxel grids: geometry, resampling and what every network wants before it reads."""
