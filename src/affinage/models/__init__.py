"""The only door to timm: backbones, their weights, their preprocessing, what of them is trained.

Importing this room tunes the C allocator and the wait of threads first, because both must precede
torch's own start.
"""

from affinage.models.process import tune_allocator, tune_threads

tune_allocator()
tune_threads()
