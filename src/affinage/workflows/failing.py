"""What a training script that failed probably needs, told by the words with which torch or Keras failed."""

import re

_HINTS: tuple[tuple[str, str], ...] = (
    (r"Target (-?\d+) is out of bounds",
     "A label is {0}, and the last layer has no output of that number: number the classes from 0 on, and "
     "give the last layer one output per class."),
    (r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
     "A Linear layer was made for {1} numbers per image and gets {0}: write nn.Linear({0}, ...) there."),
    (r"weight of size \[\d+, (\d+).*expected input\[.*?\] to have \d+ channels, but got (\d+) channels",
     "The first layer was made for {0} channels and images have {1}: convert the images (convert('RGB') or "
     "convert('L')), or make the layer for {1}."),
    (r"does not require grad and does not have a grad_fn",
     "The loss hangs on no weight that learns: look for frozen layers (requires_grad), no_grad(), detach(), "
     ".data, .item() or argmax before the loss."),
    (r"backward through the graph a second time",
     "Something of an earlier step is still in the loss: add loss.item() and not loss, and detach() what is "
     "carried from step to step."),
    (r"Expected more than 1 value per channel when training",
     "BatchNorm cannot work with a batch of one image: set drop_last=True in the training DataLoader, or "
     "take larger batches."),
    (r"optimizer got an empty parameter list",
     "The network holds no layers that torch knows of: keep them as attributes of the module or in an "
     "nn.ModuleList, not in a plain list."),
    (r"all elements of (?:input|target) should be between 0 and 1",
     "Binary cross-entropy takes probabilities and labels from 0 to 1: use BCEWithLogitsLoss on raw outputs; "
     "for more than two classes cross-entropy on class numbers."),
    (r"Expected all tensors to be on the same device",
     "Bring the network and every batch to one device: model.to(device), images.to(device), "
     "labels.to(device)."),
    (r"expected scalar type|Expected floating point type|must have the same dtype|"
     r"not implemented for '(?:Byte|Int|Long)'",
     "Give images as floats (images.float()), class numbers as whole numbers (labels.long()), and numbers to "
     "be hit as floats (labels.float())."),
    (r"target size.*different (?:to|from).*input size|must match the size of tensor|shape mismatch",
     "Outputs and labels have different shapes: print both before the loss; outputs.squeeze(1) or "
     "labels.unsqueeze(1) brings one of them to the other's."),
    (r"out of memory", "Take smaller batches or smaller images."),
)  # fmt: skip


def hint(error: str) -> str:
    """Return what to do about a script's error, in plain words; empty where its words are not known."""
    for pattern, remedy in _HINTS:
        found = re.search(pattern, error, re.IGNORECASE | re.DOTALL)
        if found:
            return remedy.format(*found.groups())
    return ""
