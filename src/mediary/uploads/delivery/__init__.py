"""Delivering files: each looked up, waited for, or sent, and gone on with where it was stopped."""
