"""Reading: the texts of documents, made on demand, and the text of a bucket that they make together."""
