"""The media library: what comes in, under which name, and what is known of it."""
