"""What each turn used, as the server measured it."""
