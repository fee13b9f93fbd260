"""Model cards and pages of experiments: the house's templates and what fills them."""
