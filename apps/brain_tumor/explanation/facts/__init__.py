"""What can be said about a case: facts, each with its evidence."""
