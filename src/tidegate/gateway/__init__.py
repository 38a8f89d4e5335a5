"""The data plane: one request in, one reply out. No SQL on the path; knows nothing of control, adapters or
statistics.
"""
