"""What an analysis says, for people who are no statisticians: the answer, then the evidence. Values in, text out."""
