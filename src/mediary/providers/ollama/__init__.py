"""Ollama's own API: JSON, a value a line."""
