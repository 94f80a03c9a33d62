"""The wire of ElevenLabs: text becomes speech."""
