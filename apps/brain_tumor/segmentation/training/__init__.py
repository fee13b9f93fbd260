"""Training of the segmentation networks from folders of public research data."""
