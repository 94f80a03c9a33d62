"""What of a bucket bears on a question: its texts cut into passages, their full-text index, their ranking."""
