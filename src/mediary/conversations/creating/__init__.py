"""Answers to a question in a link."""
