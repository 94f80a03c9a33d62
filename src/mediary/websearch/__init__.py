"""Search on the web: results, and what their pages say to the question."""
