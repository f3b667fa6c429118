"""The conformance kit: says whether an adapter keeps the contract in `dragoman.adapter`.

Its author writes a `Harness` and one test class; the cases follow from the capabilities that the adapter declares. The
same cases run without pytest: `dragoman conform MODULE:HARNESS`. See docs/write-an-adapter.md.
"""

from dragoman.testing.harness import Harness, Place
from dragoman.testing.suite import ConformanceTests

__all__ = ["ConformanceTests", "Harness", "Place"]
