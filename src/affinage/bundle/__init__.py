"""Reading a bundle with ONNX Runtime, NumPy and Pillow alone: no PyTorch.

from affinage.bundle import open_bundle

model = open_bundle("mushrooms.bundle")
print(model.predict("new.jpg").label)
"""

from affinage.bundle.reader import BundleReader, open_bundle

__all__ = ["BundleReader", "open_bundle"]
