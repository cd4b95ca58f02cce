"""Pixels from files: decode, resize, augment and batch them in threads; hash them."""
