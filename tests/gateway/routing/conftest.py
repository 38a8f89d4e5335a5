"""Fixtures for the tests of routing."""

from tests.support.pair import pair as pair
