"""The chat completions wire, as OpenAI, Ollama, vLLM, llama.cpp, LM Studio, OpenRouter, Groq and others speak it."""
