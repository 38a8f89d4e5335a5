"""What happened: the call records read back, the ones that were lost, and how long they are kept."""
