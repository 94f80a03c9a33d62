"""Which provider answers: those there are, their models, and who is next where one fails."""
