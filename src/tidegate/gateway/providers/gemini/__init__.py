"""Google's Gemini API (AI Studio), in its own words."""
