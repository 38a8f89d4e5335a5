"""Vertex AI: Gemini's words at another address, with tokens that run out."""
