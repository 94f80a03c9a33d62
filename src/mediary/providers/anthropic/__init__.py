"""The Messages wire, as Anthropic and those who offer its API speak it."""
