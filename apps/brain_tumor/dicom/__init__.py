"""Results as DICOM objects, and studies from and to a DICOM archive."""
