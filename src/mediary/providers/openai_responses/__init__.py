"""The Responses wire, as OpenAI and those who offer its API speak it."""
