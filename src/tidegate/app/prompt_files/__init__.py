"""The prompt files of a folder: found, begun, continued."""
