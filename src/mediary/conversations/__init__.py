"""Turns: a question in, typed events out."""
