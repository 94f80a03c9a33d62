"""Senders: the ways in which bytes are put where a ticket says. Flows share them."""
