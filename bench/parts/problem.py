"""What ends a program here with one line instead of a trace."""


class Problem(Exception):
    """A measurement that can't be made, or that shows something it may not."""
