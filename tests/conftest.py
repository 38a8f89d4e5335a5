"""What every test shares: Hypothesis without deadlines, since machines differ in speed and are shared."""

from hypothesis import settings

settings.register_profile("tidegate", deadline=None, print_blob=True)
settings.load_profile("tidegate")
