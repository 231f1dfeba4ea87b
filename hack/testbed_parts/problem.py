"""What a person has to be told: raised anywhere, printed once, without a stack trace."""


class Problem(Exception):
    """Something that the person at the keyboard can understand and act on."""
