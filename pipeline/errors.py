"""The one error a user is meant to read."""


class CohmapError(Exception):
    """Bad input or a state the user can mend: one sentence that says what, where and how to mend it.

    The command line prints the sentence and exits with code 2; nothing already written is touched.
    """
