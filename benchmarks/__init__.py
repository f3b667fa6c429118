"""Speed and memory, side by side in one run: `python -m benchmarks.NAME`, or all of them with `make bench`."""
