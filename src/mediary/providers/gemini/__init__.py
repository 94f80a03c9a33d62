"""The generateContent wire, as Google's Gemini API and those who offer it speak it."""
