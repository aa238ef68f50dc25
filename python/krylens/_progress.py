"""Progress of long calls: a bar of tqdm, a function of the caller's, and Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Callable, Optional, Type, Union

from ._errors import InvalidArgument
from ._library import PROGRESS

#: False: nothing is shown. True: a bar, if tqdm is installed. A function is called with the phase, what is done, what
#: there is to do in all, and the seconds left (None if unknown); an exception it raises ends the work.
Progress = Union[bool, Callable[[str, int, int, Optional[float]], Any]]


class Watch:
    """Passes progress on during one call, and turns Ctrl-C into the end of the call.

    The library runs in C, where Python's signal handlers do not run; it calls back at least once per pass, and there they do.
    Nothing may be raised through C, so an exception is kept, the library is told to stop, and the exception is raised
    when the call has returned.
    """

    def __init__(self, progress: Progress) -> None:
        self._function: Optional[Callable[[str, int, int, Optional[float]], Any]] = None
        self._bar: Any = None
        if callable(progress):
            self._function = progress
        elif progress is True:
            self._function = self._draw
        elif progress is not False and progress is not None:
            raise InvalidArgument(f"progress: {progress!r}; give True, False or a function")
        self._raised: Optional[BaseException] = None
        self._handler: Any = None
        #: For the library; it must live as long as the call.
        self.callback = PROGRESS(self._step)

    def _step(self, _: Any, phase: bytes, done: int, total: int, seconds: float) -> int:
        try:
            if self._raised is None and self._function is not None:
                self._function(phase.decode("utf-8", "replace"), done, total, None if math.isnan(seconds) else seconds)
        except BaseException as error:
            self._raised = error
        return 0 if self._raised is None else 1

    def _draw(self, phase: str, done: int, total: int, _: Optional[float]) -> None:
        if self._bar is None or self._bar.desc != f"{phase}: ":
            self._end()
            try:
                from tqdm.auto import tqdm
            except ImportError:
                self._function = None
                return
            self._bar = tqdm(desc=phase, total=total, leave=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _interrupted(self, number: int, frame: Optional[FrameType]) -> None:
        # The handler that was there decides: Python's own raises KeyboardInterrupt.
        try:
            self._handler(number, frame)
        except BaseException as error:
            self._raised = error

    def __enter__(self) -> "Watch":
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._handler = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], _: Optional[TracebackType]
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self._end()
        # The callback refers to this object and this object to it: without the cycle both end here.
        raised, self._raised = self._raised, None
        del self.callback
        if raised is not None:
            raise raised from None
