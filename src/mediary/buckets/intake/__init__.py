"""Taking what is uploaded: files arrive, are unpacked, and get their names in the manifest."""
