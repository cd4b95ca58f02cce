"""The classical baseline: a bag of visual words on SIFT, and a linear SVM; no network at all."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from affinage.errors import DataError
from affinage.heads.svm import COSTS, choose_cost, fit_svm
from affinage.metrics.classification import check_labels

Read = Callable[[int], NDArray[np.uint8]]
"""Returns the pixels of image number i, RGB, shape (height, width, 3); called in several threads."""

LENGTH = 128
SIDES = (64, 192)
"""The shorter side of an image is enlarged to the first where it is less, shrunk to the second where
it is more."""

PATCHES = (16, 24, 32)
"""Sides of the square neighbourhoods that are described, pixels."""

STEP = 8
"""Pixels from neighbourhood to neighbourhood."""

GRIDS = (1, 2)
"""Words are counted over the whole image, and over each quarter of it."""

CELLS = sum(grid * grid for grid in GRIDS)

DESCRIPTORS_PER_WORD = 60
"""Descriptors that the vocabulary is made of, for each of its words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BagOfWords:
    """Words, and a linear classifier on how often each occurs where.

    Attributes:
        words: Centres of the clusters of descriptors, shape (words, 128).
        weight: Shape (classes, features).
        bias: Shape (classes,).
        cost: The SVM's C that cross-validation chose.
    """

    words: NDArray[np.float32]
    weight: NDArray[np.floating]
    bias: NDArray[np.floating]
    cost: float

    def features(self, read: Read, images: int, *, threads: int = 1) -> NDArray[np.float32]:
        """Return the square roots of the words' shares, shape (images, features)."""
        return count_words(read, range(images), self.words, threads=threads)

    def scores(self, read: Read, images: int, *, threads: int = 1) -> NDArray[np.float64]:
        """Return each class's distance from its plane, shape (images, classes); the largest wins."""
        rows = self.features(read, images, threads=threads).astype(np.float64)
        scores: NDArray[np.float64] = rows @ self.weight.T + self.bias
        return scores


def fit_bag_of_words(
    read: Read,
    labels: ArrayLike,
    classes: int,
    *,
    words: int = 1000,
    seed: int = 0,
    folds: int = 5,
    ids: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    threads: int = 1,
) -> BagOfWords:
    """Return the baseline fitted to some images.

    Descriptors of a dense grid are made root-SIFT, clustered into words, and counted by nearest word
    over the image and its quarters; square roots of the shares make a linear SVM one by Hellinger's
    kernel. One SVM against the rest for each class; C is chosen on held-out images of these very
    ones. The same images, labels and seed give the same, for any number of threads.

    Args:
        read: Gives the training images; it is called twice for some of them.
        labels: Class indices, shape (n,), n at least 1.
        classes: How many classes there are.
        words: Size of the vocabulary, at most; fewer where there are not so many descriptors.
        seed: Of the sample of descriptors, the clusters and the folds.
        folds: How many parts to hold out in turn, at least 2.
        ids: A stable name of each image, for the folds; their numbers by default.
        groups: A name of each image's group, shape (n,); a group is held out together.
        threads: That read and describe.

    Raises:
        DataError: If there is no image, or a label is not a class.

    Source:
        Csurka et al., Visual categorization with bags of keypoints, 2004; Lazebnik et al., Beyond
        bags of features, 2006; Arandjelović and Zisserman, Three things everyone should know to
        improve object retrieval, 2012, for root-SIFT.
    """
    truth = check_labels(labels, classes)
    if not len(truth) or words < 1:
        raise DataError(
            f"A bag of words needs images and words, not {len(truth)} and {words}.",
            remedy="Give at least one image and one word.",
        )
    vocabulary = learn_words(read, len(truth), words=words, seed=seed, threads=threads)
    rows = count_words(read, range(len(truth)), vocabulary, threads=threads)
    names = ids if ids is not None else [str(number) for number in range(len(truth))]
    choice = choose_cost(
        rows, truth, classes, costs=COSTS, folds=folds, seed=seed, ids=names, groups=groups
    )
    head = fit_svm(rows, truth, classes, cost=choice.cost, seed=seed)
    return BagOfWords(words=vocabulary, weight=head.weight, bias=head.bias, cost=choice.cost)


def describe(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return root-SIFT descriptors of an image on a dense grid, and where they are.

    Args:
        pixels: RGB, shape (height, width, 3).

    Returns:
        Descriptors (n, 128), each of length 1, and places (n, 2): x and y as shares of the image.
        Neighbourhoods without any gradient are left out, so n may be 0.

    Source:
        Lowe, Distinctive image features from scale-invariant keypoints, 2004.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    short = min(height, width)
    scale = min(max(short, SIDES[0]), SIDES[1]) / short
    size = (max(STEP, round(width * scale)), max(STEP, round(height * scale)))
    if scale != 1:
        shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(grey, size, interpolation=shrinks)
    points = [
        cv2.KeyPoint(float(x), float(y), patch / 6, 0.0)  # SIFT looks at 6 × 6 of its sizes.
        for patch in PATCHES
        for y in range(STEP // 2, size[1], STEP)
        for x in range(STEP // 2, size[0], STEP)
    ]
    kept, found = cv2.SIFT.create().compute(grey, points)
    rows = np.zeros((0, LENGTH), np.float32) if found is None else np.asarray(found, np.float32)
    sums = rows.sum(axis=1)
    lively = sums > 0
    rooted = np.sqrt(rows[lively] / sums[lively, None])
    places = np.array([point.pt for point in kept], dtype=np.float32).reshape(-1, 2)[lively]
    return rooted, places / np.array(size, dtype=np.float32)


def learn_words(
    read: Read, images: int, *, words: int, seed: int, threads: int
) -> NDArray[np.float32]:
    """Return the centres of clusters of descriptors, drawn from images at random.

    The same for any number of threads.

    Args:
        read: Gives the images; called in several threads.
        images: How many there are, at least 1.
        words: How many to find; fewer where there are not so many different descriptors.
        seed: Of the sample and of the clusters.
        threads: That read and describe.

    Returns:
        Shape (words, 128).
    """
    wanted = words * DESCRIPTORS_PER_WORD
    order = np.random.default_rng(seed).permutation(images)
    each = max(50, -(-wanted // images))
    chosen = order[: -(-wanted // each)]

    def sample(number: int) -> NDArray[np.float32]:
        rows, _ = describe(read(number))
        generator = np.random.default_rng((seed, number))
        return rows[generator.permutation(len(rows))[:each]]

    with ThreadPoolExecutor(max(1, threads)) as pool:
        rows = np.concatenate([*pool.map(sample, (int(number) for number in chosen))])
    if not len(rows):
        return np.zeros((1, LENGTH), np.float32)  # All images are blank.
    clusters = min(words, len(np.unique(rows, axis=0)))
    means = KMeans(clusters, n_init=1, max_iter=25, tol=1e-3, random_state=seed)
    with threadpool_limits(limits=1):  # So that sums do not depend on the number of threads.
        means.fit(rows)
    centres: NDArray[np.float32] = means.cluster_centers_.astype(np.float32)
    return centres


def count_words(
    read: Read, numbers: Sequence[int], words: NDArray[np.float32], *, threads: int
) -> NDArray[np.float32]:
    """Return for each image how often each word occurs where, shape (images, cells × words).

    Square roots of the shares among the descriptors of the image, for the whole of it and for each
    quarter; a blank image gives zeros.

    Args:
        read: Gives the images; called in several threads.
        numbers: Of the images to read.
        words: Shape (words, 128).
        threads: That read and describe.
    """
    squares = (words**2).sum(axis=1) / 2

    def encode(number: int) -> NDArray[np.float32]:
        rows, places = describe(read(number))
        nearest = (rows @ words.T - squares).argmax(axis=1)
        return _counted(nearest, places, len(words))

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(max(1, threads)) as pool:
        rows = [*pool.map(encode, numbers)]
    return np.stack(rows) if rows else np.zeros((0, CELLS * len(words)), np.float32)


def _counted(
    nearest: NDArray[np.intp], places: NDArray[np.float32], words: int
) -> NDArray[np.float32]:
    """Return square roots of the words' shares in each cell of each grid, all grids alike in weight."""
    parts: list[NDArray[np.float32]] = []
    for grid in GRIDS:
        cell = np.minimum((places * grid).astype(np.intp), grid - 1)
        index = (cell[:, 1] * grid + cell[:, 0]) * words + nearest
        counts = np.bincount(index, minlength=grid * grid * words)
        shares = counts / (max(1, len(nearest)) * len(GRIDS))
        parts.append(np.sqrt(shares).astype(np.float32))
    return np.concatenate(parts)
