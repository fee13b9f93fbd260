"""How well tumours are outlined, by patient."""
