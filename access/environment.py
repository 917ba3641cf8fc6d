"""Environment: variables to a frozen value. A bad value stops the start with its name.

What: `read` makes a settings class of pydantic's, and tells every problem at once. Why: each process says in the same
words what is wrong with its settings. It refuses to repeat the value of a secret.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|DSN")

Found = TypeVar("Found", bound=BaseSettings)


class BadSettings(SystemExit):
    """A setting has a value that can't be used."""

    def __init__(self, problems: list[str], program: str = "tocsin") -> None:
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{program} can't start, bad settings in the environment:\n{lines}")
        self.problems = problems


def read(kind: type[Found], program: str, overrides: dict[str, Any]) -> Found:
    """The settings. Raises BadSettings, all problems at once, each with its variable's name."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        prefix = str(kind.model_config.get("env_prefix", ""))
        problems = [_problem(prefix, found["loc"], found["msg"], found["input"]) for found in error.errors()]
    raise BadSettings(problems, program)  # outside: pydantic's own error holds the values


def _problem(prefix: str, place: tuple[int | str, ...], message: str, found: object) -> str:
    if not place:
        return message.removeprefix("Value error, ")
    name = str(place[0]).upper()
    shown = "" if SECRET.search(name) else f" (found {found!r})"
    return f"{prefix}{name}: {message}{shown}"
