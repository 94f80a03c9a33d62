"""Speech on request: made sentence by sentence, kept by its content."""
