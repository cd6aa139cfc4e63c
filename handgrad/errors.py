"""The one error that a command turns into a line on stderr and exit status 2."""


class UsageError(Exception):
    """What the user gave cannot be used; the message says what was given, what is accepted, what to do."""


class ToldError(UsageError):
    """The same, met by one of several processes after another has told of it: it is not printed again."""
