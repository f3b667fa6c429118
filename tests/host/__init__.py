"""Tests of the host, on the dictionary broker."""
