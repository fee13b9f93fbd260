"""MONAI Label adapters; wiring only, no anatomy and no maths."""
