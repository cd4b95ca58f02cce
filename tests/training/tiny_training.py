"""Settings of a training that takes a second."""

TINY = (
    "model.backbone=test_resnet",
    "model.pretrained=false",
    "model.width=32",
    "model.height=32",
    "model.dropout=0.3",
    "augment.horizontal_flip=false",
    "finetune.batch_size=16",
    "finetune.epochs=2",
    "finetune.unfreeze=all",
    "finetune.batchnorm=frozen",
    "finetune.layer_decay=0.85",
)
