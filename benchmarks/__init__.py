"""Benchmarks: ratios against a named peer, measured in the same call. Never run as tests."""
