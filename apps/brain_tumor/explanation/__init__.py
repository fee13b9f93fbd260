"""Why the models say what they say: heatmaps, evidence and checked sentences."""
