"""Stores of immutable bytes under names; `base.py` says what one is."""
