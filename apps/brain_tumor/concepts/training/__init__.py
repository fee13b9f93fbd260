"""Training, export and evaluation of the symptom reader."""
