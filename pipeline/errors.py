"""The one error a user is meant to read."""


class CohmapError(Exception):
    """Bad input or a state the user can mend: one sentence that says what, where and how to mend it.

    The command line prints the sentence and exits with code 2; nothing already written is touched.
    """


class Stopped(Exception):  # noqa: N818 - what happened, not a mistake
    """The user stopped the work; what is done stays done, and the same command continues."""
