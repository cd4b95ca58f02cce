"""Annotations of boxes, in the formats that people have, become counts per class."""
