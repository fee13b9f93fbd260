"""Reads sentences back into claims and refuses what no fact bears out."""
