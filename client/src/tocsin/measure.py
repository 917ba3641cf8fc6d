"""Measure: how long something took and whether it went well, around a block or a function, sync and async.

What: `Timing`, one run of a block; `Measure`, a decorator that times each call, and a block of its own. Why: an outcome
with its duration is what most SLOs want, and by hand it is forgotten on the path that raises. It refuses to look at
what was raised: an exception's text may hold anything, and is the host's.

A generator is timed until it is exhausted or closed, not until it is made. A block that is cancelled, or left by
`GeneratorExit`, `KeyboardInterrupt` or `SystemExit`, is counted neither good nor bad: nobody knows what it would have been.
"""

from __future__ import annotations

from time import perf_counter

from tocsin.errors import InvalidName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from tocsin.hot import Observe

    _F = TypeVar("_F", bound=Callable[..., Any])

#: Units of time that a duration can be given in -> how many of them make a second.
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def per_second(unit: str) -> float:
    """How many of the unit make a second. Raises InvalidName."""
    found = UNITS.get(unit)
    if found is None:
        raise InvalidName(f"unit {unit!r}; a duration is in one of {', '.join(UNITS)}")
    return found


class Timing:
    """One run of a block. `bad()` inside it makes it bad without an exception; `good()` takes that back."""

    __slots__ = ("_began", "_observe", "_per_second", "outcome", "trace_id")

    def __init__(self, observe: Observe, unit: str) -> None:
        self._observe = observe
        self._per_second = per_second(unit)
        self._began = 0.0
        self.outcome = True
        self.trace_id: bytes | str | None = None  # set it to keep the trace of a good one, too

    def bad(self) -> None:
        """It did not go well, although nothing is raised."""
        self.outcome = False

    def good(self) -> None:
        """It went well after all."""
        self.outcome = True

    def __enter__(self) -> Self:
        self._began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = (perf_counter() - self._began) * self._per_second
        if error is None:
            self._observe(self.outcome, took, self.trace_id)
        elif isinstance(error, Exception):
            self._observe(False, took, self.trace_id)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


class Measure:
    """Decorates functions, coroutine functions and generators of both kinds; or stands in `with` and `async with`.

    As a block it is entered once: `with client.measure("checkout.pay"):`. Functions may run at any time, in any number.
    """

    __slots__ = ("_observe", "_open", "_unit")

    def __init__(self, observe: Observe, unit: str) -> None:
        per_second(unit)
        self._observe = observe
        self._unit = unit
        self._open: Timing | None = None

    def timed(self) -> Timing:
        """A block of its own, for any number of runs at once."""
        return Timing(self._observe, self._unit)

    def __enter__(self) -> Timing:
        self._open = self.timed()
        return self._open.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.__exit__(kind, error, trace)

    async def __aenter__(self) -> Timing:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: _F) -> _F:
        """The function, timed. What is sent into an async generator is not passed on to it."""
        import contextlib
        import functools
        import inspect

        timed = self.timed
        wrapper: Any
        if inspect.iscoroutinefunction(function):

            async def wrapper(*args: Any, **named: Any) -> Any:
                with timed():
                    return await function(*args, **named)

        elif inspect.isasyncgenfunction(function):

            async def wrapper(*args: Any, **named: Any) -> Any:
                with timed():
                    async with contextlib.aclosing(function(*args, **named)) as items:
                        async for item in items:
                            yield item

        elif inspect.isgeneratorfunction(function):

            def wrapper(*args: Any, **named: Any) -> Any:
                with timed():
                    return (yield from function(*args, **named))

        else:

            def wrapper(*args: Any, **named: Any) -> Any:
                with timed():
                    return function(*args, **named)

        done: _F = functools.wraps(function)(wrapper)  # type: ignore[assignment]  # called like the function
        return done
