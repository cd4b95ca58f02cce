"""The only door to timm: backbones, their weights, their preprocessing, what of them is trained.

Importing this room tunes the C allocator first, because that must precede torch's own start.
"""

from affinage.models.process import tune_allocator

tune_allocator()
