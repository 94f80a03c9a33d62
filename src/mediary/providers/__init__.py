"""Providers: a folder for each wire; `base` says what a provider is, `http` is what wires over HTTP share."""
