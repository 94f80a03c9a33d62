"""What is put into a question besides its own words: memories, what the web says."""
