"""How well the type is named, and the card that says so."""
