"""The size of thumbnails."""

THUMB = 32
"""Side of the thumbnails that go with the measures, px."""
