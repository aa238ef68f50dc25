"""What pyproject.toml cannot specify: the version, which is in Version.swift, and that the wheel is for one platform.

The wheel contains a library that does not use Python's own interface, so one wheel serves every version of Python 3:
py3-none-PLATFORM. `make wheel` puts the library beside the package before it builds.
"""

import re
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

VERSION = Path(__file__).resolve().parent.parent / "Sources/Analysis/Version.swift"


class PlatformDistribution(Distribution):
    def has_ext_modules(self):
        return True


class PlatformWheel(bdist_wheel):
    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


found = re.search(r'krylensVersion = "([^"]+)"', VERSION.read_text(encoding="utf-8"))
setup(version=found.group(1), distclass=PlatformDistribution, cmdclass={"bdist_wheel": PlatformWheel})
