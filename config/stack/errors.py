"""The one error of the supervisor."""


class StackError(Exception):
    """The embedded stack cannot start or go on; the message ends with a way out.

    `problem` says what is wrong and where, `way_out` what to do, `log` holds the last lines that
    the process in question wrote ("" where there are none).
    """

    def __init__(self, problem: str, way_out: str, log: str = "") -> None:
        self.problem = problem
        self.way_out = way_out
        self.log = log
        shown = f"\nIts last lines:\n{log}" if log else ""
        super().__init__(f"{problem}{shown}\nWay out: {way_out}")
