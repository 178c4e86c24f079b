"""What is wrong with the settings of a source."""


class InvalidSourceSettings(ValueError):
    """The settings of a source: `key` is where, `reason` is what is wrong."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"source settings: {key!r} {reason}")
        self.key = key
        self.reason = reason
