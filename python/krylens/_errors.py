"""The exceptions of this package. Their texts are those of the ``krylens`` command."""

from __future__ import annotations


class Error(Exception):
    """Base class of all exceptions that this package raises on its own."""


class InvalidArgument(Error, ValueError):
    """An argument that cannot be used: a wrong shape, an unknown setting, a number that is not finite."""


class RunError(Error, ValueError):
    """A folder that is not a run, a run that has not ended, or a damaged file in one."""


class ClosedError(Error):
    """A model or a Jacobian was used after it was closed."""


class BusyError(Error):
    """A model or a Jacobian was used by two threads at the same time. Open one for each thread."""


class ForkedError(Error):
    """A model or a Jacobian was used in a child process made by ``fork``. Open it again in the child."""


class StoppedError(Error):
    """The work was stopped before it was done."""


class FailedError(Error):
    """The work failed: a file cannot be read, a model is not supported, a number is not finite."""


class LibraryError(Error, ImportError):
    """The shared library of Krylens was not found, or it is not the one this package needs."""


class ConvergenceWarning(UserWarning):
    """A solve ended before all residual norms were within the tolerance."""
