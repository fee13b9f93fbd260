"""Research data sets as cases."""
