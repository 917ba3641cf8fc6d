"""Errors that the client raises: only while it is being set up, never from a call that records.

What: one class a kind of mistake; its docstring is the first half of the message. Why: a wrong name is a programming
error and should be seen at once, a wrong value must never harm the host. It refuses to wrap anything else.
"""

from __future__ import annotations


class TocsinError(ValueError):
    """The client cannot be set up like this"""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{type(self).__doc__}: {detail}")
        self.detail = detail


class InvalidOption(TocsinError):
    """An option of the client has a value that it cannot have"""


class InvalidName(TocsinError):
    """A metric's name or unit is not acceptable"""


class InvalidLabel(TocsinError):
    """A label is not acceptable"""


class InvalidSource(TocsinError):
    """A source id or resource attribute is not acceptable"""


class Rejected(Exception):
    """The destination refuses this record for good; to send it again cannot help"""


class Full(Exception):
    """The destination takes no more at the moment; the same record is offered again later"""
