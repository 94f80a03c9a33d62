"""Upload flows: how a file is carried to each provider by its own protocol, once."""
