"""What was corrected and inferred, in a database that only grows."""
