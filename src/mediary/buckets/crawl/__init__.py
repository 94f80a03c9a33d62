"""Crawling: what `downloads.json` names is fetched, page by page, into its bucket."""
