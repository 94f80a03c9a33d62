"""What is remembered of uploads, in the database: what lies where, what is on its way, digests."""
