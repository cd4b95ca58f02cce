"""Measures: what one look at the pixels and the header of every image gives the checks."""

import polars as pl

MEASURES: dict[str, pl.DataType] = {
    "image": pl.String(),  # Image id; the table is sorted by it.
    "brightness": pl.Float32(),  # Mean luma (Rec. 601), 0 black to 1 white.
    "contrast": pl.Float32(),  # Standard deviation of luma, 0 to 0.5.
    "dark": pl.Float32(),  # Share of pixels with luma below 0.08.
    "bright": pl.Float32(),  # Share of pixels with luma above 0.96.
    "sharpness": pl.Float32(),  # Mean squared Laplacian of luma at a longest side of at most 256 px.
    "colour": pl.Float32(),  # Mean of (largest - smallest channel) / 255: 0 for a grey image.
    "entropy": pl.Float32(),  # Of the luma histogram, bits, 0 to 8.
    "hash": pl.UInt64(),  # Perceptual hash: signs of the lowest 8 × 8 DCT coefficients.
    "camera": pl.String(),  # EXIF make and model; null where there is none.
    "software": pl.String(),  # EXIF software; null where there is none.
    "encoding": pl.String(),  # How it was saved: "JPEG quality 85 4:2:0", "PNG 8-bit grey"...
    "focus": pl.Float32(),  # Change of slope per slope, squared: 0 blurred, 1 to 2 sharp, at most 4.
    "flat": pl.Float32(),  # Share of pixels within one level of their right and lower neighbours.
    "palette": pl.Float32(),  # Entropy of colours in 16 levels a channel, bits, 0 to 12.
    "darkest": pl.Float32(),  # Luma below which 2 % of the thumbnail lies, 0 to 1.
    "lightest": pl.Float32(),  # Luma below which 98 % of the thumbnail lies, 0 to 1.
    "variation": pl.Float32(),  # Deviation over the thumbnail of the channel that varies most, 0 to 0.5.
    "tint": pl.Float32(),  # Largest difference of channels in any pixel of the thumbnail, 0 to 1.
}
"""What the decode pass measures of every image, in the pixels as they are shown."""
