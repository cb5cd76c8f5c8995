"""The one error of this package that a user is meant to read."""


class ModelError(ValueError):
    """An estimator was asked for something it can't do; the sentence says what and how to mend it."""
