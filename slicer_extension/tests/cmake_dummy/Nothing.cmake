# Packaging itself is Slicer's business.
