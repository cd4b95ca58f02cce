"""One peer's loader, run in its own environment: JPEGs to normalised batches, images a second.

`python loader_peers.py PEER LIST THREADS CHANGES` with a text file of paths; each line on standard
input is a request for one pass, answered by a line of JSON. Crop, flip, 20 degrees of rotation at
224 × 224, batches of 32, as each library's own pages recommend for a CPU; the crop comes first
where the order is free, since turning the smaller image is faster.
"""

import json
import os
import sys
import time
from pathlib import Path

SIZE, BATCH, DEGREES, SHARE = 224, 32, 20, (0.5, 1.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def keras_generator(paths, threads, turned):
    """ImageDataGenerator: its zoom stands for the crop, which it lacks; use of threads as offered."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from concurrent.futures import ThreadPoolExecutor

    import keras
    import numpy as np

    generator = keras.src.legacy.preprocessing.image.ImageDataGenerator(
        rotation_range=DEGREES if turned else 0, horizontal_flip=True, zoom_range=(0.7, 1.0),
        featurewise_center=False, rescale=1 / 255,
    )  # fmt: skip
    folder = Path(paths[0]).parents[1]
    flow = generator.flow_from_directory(
        folder, target_size=(SIZE, SIZE), batch_size=BATCH, interpolation="bilinear"
    )
    mean, std = np.float32(MEAN), np.float32(STD)

    def batch(number):
        return (flow[number][0] - mean) / std

    def passes():
        flow.on_epoch_end() if hasattr(flow, "on_epoch_end") else None
        with ThreadPoolExecutor(threads) as pool:
            return sum(len(found) for found in pool.map(batch, range(len(flow))))

    return passes


def torchvision_loader(paths, threads, turned):
    """The v2 transforms in a DataLoader of worker processes that stay between passes."""
    import torch
    from torchvision import io
    from torchvision.transforms import v2

    turn = [v2.RandomRotation(DEGREES, interpolation=v2.InterpolationMode.BILINEAR)]
    change = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, scale=SHARE, antialias=True),
            *(turn if turned else []),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    class Files(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            return change(io.decode_image(paths[index], io.ImageReadMode.RGB))

    loader = torch.utils.data.DataLoader(
        Files(), batch_size=BATCH, shuffle=True, num_workers=threads, persistent_workers=True
    )
    return lambda: sum(len(batch) for batch in loader)


def albumentations_opencv(paths, threads, turned):
    """OpenCV's decoder and albumentations, in a pool of threads."""
    from concurrent.futures import ThreadPoolExecutor

    import albumentations
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    change = albumentations.Compose(
        [
            albumentations.RandomResizedCrop(size=(SIZE, SIZE), scale=SHARE),
            *([albumentations.Rotate(limit=DEGREES, p=1)] if turned else []),
            albumentations.HorizontalFlip(),
            albumentations.Normalize(MEAN, STD),
        ]
    )

    def view(path):
        return change(image=cv2.imread(path, cv2.IMREAD_COLOR_RGB))["image"]

    def passes():
        with ThreadPoolExecutor(threads) as pool:
            starts = range(0, len(paths), BATCH)
            shown = pool.map(view, paths)
            return sum(
                len(np.stack([next(shown) for _ in paths[start : start + BATCH]]))
                for start in starts
            )

    return passes


def dali_cpu(paths, threads, turned):
    """DALI's pipeline on the CPU, its fused decode-and-crop, then rotation, crop and normalising."""
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, seed=1)
    def pipeline():
        data, _ = fn.readers.file(files=paths, random_shuffle=True, name="files")
        images = fn.decoders.image_random_crop(
            data, device="cpu", output_type=types.RGB, random_area=list(SHARE),
            random_aspect_ratio=[3 / 4, 4 / 3],
        )  # fmt: skip
        images = fn.resize(images, size=[SIZE, SIZE])
        if turned:
            angle = fn.random.uniform(range=(-DEGREES, DEGREES))
            images = fn.rotate(images, angle=angle, keep_size=True, fill_value=0)
        return fn.crop_mirror_normalize(
            images, mirror=fn.random.coin_flip(), dtype=types.FLOAT, output_layout="HWC",
            mean=[255 * value for value in MEAN], std=[255 * value for value in STD],
        )  # fmt: skip

    built = pipeline()
    built.build()

    def passes():
        for _ in range(-(-len(paths) // BATCH)):
            built.run()
        return len(paths)

    return passes


PEERS = {
    "ImageDataGenerator": keras_generator,
    "torchvision": torchvision_loader,
    "albumentations": albumentations_opencv,
    "DALI": dali_cpu,
}


def processor_seconds():
    """Return the processor seconds of this process and of its living children."""
    total = time.process_time()
    tick = os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def main():
    """Make the peer ready, warm it up, then time one pass for every line that comes in."""
    peer, listed, threads, changes = sys.argv[1:5]
    paths = Path(listed).read_text().split("\n")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What a library prints is no answer.
    passes = PEERS[peer](paths, int(threads), changes == "turned")
    passes()
    answers.write("ready\n")
    answers.flush()
    for _ in sys.stdin:
        start, before = time.perf_counter(), processor_seconds()
        images = passes()
        seconds, used = time.perf_counter() - start, processor_seconds() - before
        answers.write(json.dumps({"images": images, "seconds": seconds, "processor": used}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
