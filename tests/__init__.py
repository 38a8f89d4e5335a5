"""The tests mirror src/; ports/ holds adapters to their ports, walks/ goes end to end, house/ the laws."""
