"""The published network, written down once more in Keras; run by `tests.benchmarks.keras_import`, not by hand.

Runs in an environment of its own that has Keras and not cohmap:
``python keras_model.py keras|tf_keras FOLDER``. Builds the network from its description, gives every weight and every
BatchNorm statistic a random value, saves it in all the styles of that library, and answers for a few patches.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHANNELS = (32, 64, 128, 256, 512)
PATCHES, SIDE = 4, 128
UPSAMPLING = ("upsampling_256-128", "upsampling_128-64", "upsampling_64-32", "upsampling_32-16")


def build(keras: Any) -> Any:
    """The model; a block creates its shortcut first, as the published names tell."""
    layers = keras.layers
    images = layers.Input((SIDE, SIDE, 2))
    inner, skips = images, []
    for level, channels in enumerate(CHANNELS):
        if level:
            inner = layers.MaxPooling2D(2)(inner)
        inner = _block(layers, inner, channels)
        skips.append(inner)
    skips.pop()
    for channels, name in zip(CHANNELS[-2::-1], UPSAMPLING, strict=True):
        inner = layers.UpSampling2D(2, interpolation="bilinear")(inner)
        inner = layers.Conv2D(channels, 2, padding="same", activation="relu", name=name)(inner)
        inner = _block(layers, layers.Concatenate()([skips.pop(), inner]), channels)
    heads = [layers.Conv2D(1, 1, activation="sigmoid", name=name)(inner) for name in ("mean", "log_variance")]
    return keras.Model(images, heads)


def _block(layers: Any, entering: Any, channels: int) -> Any:
    shortcut = layers.Conv2D(channels, 1, padding="same")(entering)
    inner = layers.Conv2D(channels, 3, padding="same")(entering)
    inner = layers.BatchNormalization(momentum=0.9, epsilon=1e-4)(inner)
    inner = layers.Activation("relu")(inner)
    inner = layers.Conv2D(channels, 3, padding="same")(inner)
    inner = layers.BatchNormalization(momentum=0.9, epsilon=1e-4)(inner)
    return layers.Activation("relu")(layers.Add()([inner, shortcut]))


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Give every weight and statistic a value of its own, such that signals neither vanish nor explode."""
    for layer in model.layers:
        old = layer.get_weights()
        if len(old) == 4:  # BatchNorm: gamma, beta, mean, variance
            gamma, variance = (rng.uniform(0.5, 1.5, old[0].shape) for _ in range(2))
            beta, mean = (rng.normal(0.0, 0.2, old[0].shape) for _ in range(2))
            layer.set_weights([gamma, beta, mean, variance])
        elif old:
            kernel, bias = (weights.shape for weights in old)
            spread = np.sqrt(1.2 / np.prod(kernel[:-1]))
            layer.set_weights([rng.normal(0.0, spread, kernel), rng.normal(0.0, 0.1, bias)])


def save(model: Any, library: str, folder: Path) -> list[str]:
    """Write every style of weight file that the library has; returns their names."""
    names = [f"{library}.weights.h5", f"{library}-whole-model.h5"]
    model.save_weights(folder / names[0])
    model.save(folder / names[1])
    if library == "tf_keras":
        names.append(f"{library}-weights.h5")
        model.save_weights(folder / names[2])
    return names


def main() -> None:
    """Write weight files, and images with the network's answers beside them."""
    library, folder = sys.argv[1], Path(sys.argv[2])
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    keras = importlib.import_module(library)
    rng = np.random.default_rng(0)
    build(keras)  # so that the numbers in the names of the next one begin elsewhere
    model = build(keras)
    randomise(model, rng)
    images = rng.uniform(0.0, 1.0, (PATCHES, SIDE, SIDE, 2)).astype(np.float32)
    mean, log_variance = model.predict(images, verbose=0)
    np.savez(folder / f"{library}.npz", images=images, mean=mean, log_variance=log_variance)
    names = save(model, library, folder)
    print(f"{keras.__version__} {model.count_params()} {' '.join(names)}")


if __name__ == "__main__":
    main()
