"""What a file is: by its bytes first, and by its name second."""
