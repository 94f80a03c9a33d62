"""Shared chats: kept as they came, changed by who made them, shown as plain pages."""
