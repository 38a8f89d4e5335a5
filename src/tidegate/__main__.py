"""`python -m tidegate`: the command `tidegate`, for whoever starts it by its interpreter."""

from tidegate.doors.cli.main import main

main()
