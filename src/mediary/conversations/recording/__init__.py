"""What a turn used is counted as it passes, and written down however it ends."""
