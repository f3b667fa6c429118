"""Tests of the ways to write a handler."""
