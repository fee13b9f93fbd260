"""Front of the server: access, limits, replies."""
