"""Many cases: one process or many machines, resumed where they were cut off, one table and page."""
