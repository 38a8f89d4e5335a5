"""From calls to what is known: outcomes, comparisons at every look, the rule's answer. Pure."""
