"""An application to evaluate.

    tidegate eval run --target python:examples/application.py:answer --dataset examples/questions.jsonl

It stands for yours: retrieval, several models, tools. What it returns may be the answer alone, or a map with what is
known of its cost.
"""

KNOWN = {
    "What is the capital of France?": "Paris",
    "What is 17 + 4?": "17 + 4 is 21.",
    "Is the sea salty? Answer yes or no.": "Yes.",
}


async def answer(question: str, facts: str = "") -> dict[str, object]:
    """Answer from what is known, else from the facts."""
    text = KNOWN.get(question) or facts or "I do not know."
    return {"text": text, "input_tokens": len(question.split()), "output_tokens": len(text.split()), "cost_usd": 0.0001}
