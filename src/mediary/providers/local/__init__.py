"""The provider that needs no network and no key: passages, speech and a stand-in for pictures, made on this machine."""
