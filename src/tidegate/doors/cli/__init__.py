"""The command line: `main.py` finds a command's module and loads only that one."""
