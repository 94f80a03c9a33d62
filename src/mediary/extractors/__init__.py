"""Documents to text: each format by the library that reads it best, in child processes that can reach nothing."""
