"""Peers' training of whole networks and of heads, each run in its own environment.

`python epoch_peers.py PEER LIST THREADS` with a text file of `path<TAB>class number`; each line on
standard input, `WORK NETWORK`, is answered by a line of JSON: images, seconds, seconds of processor.
Weights are random: only speed is looked at. Batches of 32 at 224 × 224. Works:

- epoch: every image once through crop, flip, forward, backward and step, all weights trained.
- epoch_bf16: the same in bf16: Keras by its mixed policy, Affinage by compute.precision=bf16.
- frozen: an epoch, the backbone frozen.
- features: every image through the backbone, without crop and flip.
- head: ten epochs of a linear head on 2,000 features.

Affinage's own are epoch; first, features of all images by an engine and the head on them; and second, the
same with what the first one kept.
"""

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

SIZE, BATCH, SHARE, RATE = 224, 32, (0.5, 1.0), 1e-4
HEAD_IMAGES, HEAD_EPOCHS = 2_000, 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torch_photos(rows, *, train):
    """A data set as tutorials have it: Pillow and torchvision's transforms."""
    import torch
    from PIL import Image
    from torchvision import transforms as change

    grow = [change.RandomResizedCrop(SIZE, scale=SHARE), change.RandomHorizontalFlip()]
    fit = [change.Resize(256), change.CenterCrop(SIZE)]
    whole = change.Compose(
        [*(grow if train else fit), change.ToTensor(), change.Normalize(MEAN, STD)]
    )

    class Photos(torch.utils.data.Dataset):
        def __len__(self):
            return len(rows)

        def __getitem__(self, index):
            path, label = rows[index]
            return whole(Image.open(path).convert("RGB")), label

    return Photos()


class Plain:
    """A timm network, a DataLoader with a process for each thread, AdamW, a loop."""

    def __init__(self, rows, threads):
        self.rows, self.threads = rows, threads
        self.classes = len({label for _, label in rows})
        self.networks = {}

    def network(self, name):
        """Return a network and what trains it, made once."""
        import timm
        import torch

        if name not in self.networks:
            model = timm.create_model(name, pretrained=False, num_classes=self.classes)
            self.networks[name] = model, torch.optim.AdamW(model.parameters(), RATE)
        return self.networks[name]

    def batches(self, *, train):
        """Return batches of images and classes."""
        import torch

        return torch.utils.data.DataLoader(
            torch_photos(self.rows, train=train), BATCH, shuffle=train, num_workers=self.threads
        )

    def epoch(self, name):
        """Show every image once; return how many."""
        import torch

        model, optimizer = self.network(name)
        model.train()
        for images, labels in self.batches(train=True):
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return len(self.rows)


class Fastai:
    """`vision_learner` on a timm network, random crops and flips, one cycle."""

    def __init__(self, rows, threads):
        self.rows, self.threads = [list(row) for row in rows], threads  # fastai spreads tuples.
        self.learners = {}

    def loaders(self):
        """Return fastai's loaders over all images; one of them stands in as validation."""
        from fastai.vision.all import (
            CategoryBlock,
            DataBlock,
            Flip,
            ImageBlock,
            RandomResizedCrop,
        )  # fmt: skip

        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock), get_x=_first, get_y=_second,
            splitter=lambda rows: (list(range(len(rows))), [0]),
            item_tfms=RandomResizedCrop(SIZE, min_scale=SHARE[0]), batch_tfms=[Flip()],
        )  # fmt: skip
        return block.dataloaders(self.rows, bs=BATCH, num_workers=self.threads)

    def learner(self, name):
        """Return a learner, made once."""
        from fastai.vision.all import vision_learner

        if name not in self.learners:
            self.learners[name] = vision_learner(
                self.loaders(), name, pretrained=False, normalize=False
            )
        return self.learners[name]

    def fit(self, name, *, frozen):
        """Train one epoch; return how many images were shown."""
        learn = self.learner(name)
        learn.freeze() if frozen else learn.unfreeze()
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, RATE)
        return len(learn.dls.train) * BATCH

    def epoch(self, name):
        """Show every image once; return how many."""
        return self.fit(name, frozen=False)

    def frozen(self, name):
        """Show every image once, the backbone frozen; return how many."""
        return self.fit(name, frozen=True)

    def features(self, name):
        """Put every image through the backbone, as validation shows them; return how many."""
        import torch

        learn = self.learner(name)
        shown = learn.dls.test_dl(self.rows, num_workers=self.threads)
        body, count = learn.model[0].eval(), 0
        with torch.inference_mode():
            for (images,) in shown:
                count += len(body(images).mean((2, 3)))
        return count

    def head(self, name):
        """Train a linear head on random features; return how many."""
        import torch
        from fastai.vision.all import DataLoader, DataLoaders, Learner

        width = self.learner(name).model[0](torch.zeros(2, 3, SIZE, SIZE)).shape[1]
        classes = len({label for _, label in self.rows})
        features = torch.randn(HEAD_IMAGES, width)
        pairs = list(zip(features, torch.randint(classes, (HEAD_IMAGES,)), strict=True))
        loaders = DataLoaders(
            DataLoader(pairs, bs=BATCH, shuffle=True), DataLoader(pairs[:BATCH], bs=BATCH)
        )
        learn = Learner(
            loaders, torch.nn.Linear(width, classes), loss_func=torch.nn.CrossEntropyLoss()
        )
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(HEAD_EPOCHS, 1e-3)
        return HEAD_IMAGES


def _first(row):
    return row[0]


def _second(row):
    return row[1]


class Keras:
    """Keras' own networks; tf.data decodes, crops and flips in parallel and reads ahead."""

    def __init__(self, rows, threads):
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.rows, self.classes = rows, len({label for _, label in rows})
        self.networks = {}

    def batches(self, *, train):
        """Return batches of images and classes."""
        import tensorflow as tf

        paths = [path for path, _ in self.rows]
        labels = [label for _, label in self.rows]

        def shown(path, label):
            data = tf.io.read_file(path)
            if not train:
                return tf.image.resize(tf.io.decode_jpeg(data, channels=3), (SIZE, SIZE)), label
            begin, size, _ = tf.image.sample_distorted_bounding_box(
                tf.io.extract_jpeg_shape(data), tf.zeros((1, 0, 4)), area_range=SHARE,
                use_image_if_no_bounding_boxes=True,
            )  # fmt: skip
            window = tf.concat([begin[:2], size[:2]], 0)
            cut = tf.image.decode_and_crop_jpeg(data, window, channels=3)
            return tf.image.random_flip_left_right(tf.image.resize(cut, (SIZE, SIZE))), label

        found = tf.data.Dataset.from_tensor_slices((paths, labels))
        if train:
            found = found.shuffle(len(paths))
        found = found.map(shown, num_parallel_calls=tf.data.AUTOTUNE)
        return found.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    def network(self, name, *, frozen, policy="float32"):
        """Return a network and what trains it, made once."""
        import keras

        keras.mixed_precision.set_global_policy(policy)
        if (name, frozen, policy) not in self.networks:
            made = getattr(keras.applications, name)
            body = made(include_top=False, weights=None, pooling="avg", input_shape=(SIZE, SIZE, 3))
            body.trainable = not frozen
            model = keras.Sequential([body, keras.layers.Dense(self.classes, activation="softmax")])
            model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
            self.networks[name, frozen, policy] = body, model
        return self.networks[name, frozen, policy]

    def epoch(self, name):
        """Show every image once; return how many."""
        self.network(name, frozen=False)[1].fit(self.batches(train=True), verbose=0)
        return len(self.rows)

    def epoch_bf16(self, name):
        """Show every image once, computing in bf16; return how many."""
        model = self.network(name, frozen=False, policy="mixed_bfloat16")[1]
        model.fit(self.batches(train=True), verbose=0)
        return len(self.rows)

    def frozen(self, name):
        """Show every image once, the backbone frozen; return how many."""
        self.network(name, frozen=True)[1].fit(self.batches(train=True), verbose=0)
        return len(self.rows)

    def features(self, name):
        """Put every image through the backbone; return how many."""
        return len(self.network(name, frozen=True)[0].predict(self.batches(train=False), verbose=0))

    def head(self, name):
        """Train a linear head on random features; return how many."""
        import keras
        import numpy as np

        width = self.network(name, frozen=True)[0].output.shape[1]
        random = np.random.default_rng(0)
        features = random.normal(size=(HEAD_IMAGES, width)).astype(np.float32)
        labels = random.integers(self.classes, size=HEAD_IMAGES)
        layer = keras.layers.Dense(self.classes, activation="softmax")
        model = keras.Sequential([keras.Input((width,)), layer])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(features, labels, batch_size=BATCH, epochs=HEAD_EPOCHS, verbose=0)
        return HEAD_IMAGES


class Affinage:
    """The training loop of Affinage as a recipe without a word in it runs it, all blocks trained."""

    def __init__(self, rows, threads):
        import numpy as np

        from affinage.imaging.batches import Item
        from affinage.imaging.hashing import content_id

        self.threads = threads
        self.items = [Item(content_id(Path(path).read_bytes()), Path(path)) for path, _ in rows]
        self.labels = np.array([label for _, label in rows])
        self.networks = {}
        self.backbone, self.stacked, self.folders = None, None, []

    def network(self, name, precision):
        """Return a network and what trains it, made once."""
        import torch

        from affinage.models.build import build_backbone, stack
        from affinage.models.freeze import layer_groups, set_trainable
        from affinage.records.recipe_text import parse_recipe
        from affinage.training.losses import make_objective
        from affinage.training.optimizer import build_optimizer

        torch.set_num_threads(self.threads)
        if (name, precision) not in self.networks:
            settings = (f"compute.precision={precision}",
                        f"model.backbone={name}", "model.pretrained=false", "finetune.unfreeze=all",
                        "finetune.batchnorm=adapt", "finetune.epochs=1")  # fmt: skip
            recipe = parse_recipe(None, settings)
            classes = int(self.labels.max()) + 1
            model = stack(build_backbone(recipe.model), classes=classes)
            groups = layer_groups(model, unfreeze="all")
            set_trainable(model, groups)
            optimizer = build_optimizer(model, groups, recipe.optimizer, layer_decay=1.0)
            objective = make_objective(recipe, classes=classes, targets=self.labels)
            self.networks[name, precision] = recipe, model, optimizer, objective
        return self.networks[name, precision]

    def first(self, engine):
        """Features of all images, from files, and the head by cross-validation; nothing is kept yet."""
        import shutil
        import tempfile

        for old in self.folders:
            shutil.rmtree(old)
        self.folders = [tempfile.mkdtemp()]
        return self.second(engine)

    def second(self, engine):
        """The same with what the first one kept."""
        import torch

        from affinage.heads.linear import choose_penalty, fit_linear
        from affinage.heads.rotation import rotate_evenly
        from affinage.inference.features import cache_facts, cached_features
        from affinage.inference.forward import Engine
        from affinage.models.build import build_backbone, stack
        from affinage.records.networks import ModelSettings
        from affinage.records.settings.features import FeaturesSettings
        from affinage.store.feature_cache import FeatureCache

        torch.set_num_threads(self.threads)
        if self.backbone is None:
            self.backbone = build_backbone(ModelSettings())
            self.stacked = stack(self.backbone, classes=2)
        how = Engine(device=torch.device("cpu"), threads=self.threads, name=engine)
        cache = FeatureCache(Path(self.folders[0]), cache_facts(self.backbone, how, versions={}))
        rows = cached_features(self.stacked, self.items, how, cache).rows
        classes, settings = int(self.labels.max()) + 1, FeaturesSettings()
        rotated = rotate_evenly(rows)  # As the features stage does.
        choice = choose_penalty(
            rows, self.labels, classes, penalties=settings.penalties, folds=settings.folds, seed=0,
            ids=[item.image for item in self.items], rotated=rotated,
        )  # fmt: skip
        fit_linear(rows, self.labels, classes, penalty=choice.penalty, rotated=rotated)
        return len(self.items)

    def epoch_bf16(self, name):
        """Show every image once, computing in bf16; return how many."""
        return self.epoch(name, precision="bf16")

    def epoch(self, name, *, precision="fp32"):
        """Show every image once; return how many."""
        import torch

        from affinage.training.loop import training_steps
        from affinage.training.plan import make_plan

        recipe, model, optimizer, objective = self.network(name, precision)
        steps = training_steps(
            model, optimizer, self.items, self.labels, objective=objective, recipe=recipe,
            plan=make_plan(recipe.finetune, len(self.items)), device=torch.device("cpu"),
            threads=self.threads,
        )  # fmt: skip
        return sum(step.images for step in steps)


PEERS = {"plain": Plain, "fastai": Fastai, "keras": Keras, "affinage": Affinage}


def processor_seconds():
    """Return the processor's time of this process and of its children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main():
    peer, listed, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    given = os.sched_getaffinity(0)
    if peer != "keras":
        importlib.import_module("affinage.models.build" if peer == "affinage" else "torch")
    os.sched_setaffinity(0, given)  # Loading torch takes all processors, whatever was given.
    rows = [line.split("\t") for line in listed.read_text().splitlines()]
    works = PEERS[peer]([(path, int(label)) for path, label in rows], threads)
    print("ready", flush=True)
    for line in sys.stdin:
        work, network = line.split()
        start, before = time.perf_counter(), processor_seconds()
        images = getattr(works, work)(network)
        told = {
            "images": images,
            "seconds": time.perf_counter() - start,
            "processor": processor_seconds() - before,
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
