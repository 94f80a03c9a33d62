"""Runs: turns that outlive the connection of who asked."""
