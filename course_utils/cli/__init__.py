"""The `course` command. Nothing here loads torch before a sub-command needs it."""
