"""OpenAI and everything that speaks like it: vLLM, SGLang, TGI, Ollama, llama.cpp, Together, Fireworks, Groq."""
