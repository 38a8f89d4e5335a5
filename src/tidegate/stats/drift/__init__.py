"""Has what users send or models answer changed: distances between a reference and a window, and thresholds that are
taken from the reference's own windows.
"""
