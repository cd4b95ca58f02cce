"""A source becomes a manifest, and a manifest a split."""
