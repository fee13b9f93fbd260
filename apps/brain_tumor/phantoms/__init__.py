"""Generated heads with tumours whose truth is known, and the sample studies."""
