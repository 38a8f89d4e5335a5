"""What every test shares: Hypothesis without deadlines, since machines differ in speed and are shared."""

import signal

from hypothesis import settings

settings.register_profile("tidegate", deadline=None, print_blob=True)
settings.load_profile("tidegate")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell script ignores Ctrl-C for what it starts in the background; processes of tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
