"""What comes with a question, and how it gets to the provider."""
