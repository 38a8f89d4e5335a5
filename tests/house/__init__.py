"""The laws of the house, held against the code by reading it: only two tests import what they judge."""
