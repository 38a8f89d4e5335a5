"""Amazon Bedrock by its Converse API."""
