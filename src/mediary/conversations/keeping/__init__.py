"""What a turn made or brought goes into the library."""
