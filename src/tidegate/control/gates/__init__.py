"""What a candidate must not break: typed rules, judged on evidence that may be looked at any time. Pure."""
