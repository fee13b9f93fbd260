"""Language models that may phrase a rationale."""
