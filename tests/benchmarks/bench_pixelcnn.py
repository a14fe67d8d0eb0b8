"""Sampling from a PixelCNN.

Sixteen grids drawn with the cached sampler, against the plain loop that runs the whole network for each place; both draw the same numbers.
Eight layers, 64 channels, 512 values. Medians of three runs in turns; `equal` is the share of places where both drew the same.
"""

import json
import statistics
import time

import torch

from course_utils.autoencoders import PixelCNN, PixelCNNConfig, pixelcnn
from course_utils.layers import draw_uniform
from course_utils.runtime import generator


def main() -> None:
    for side, attention in ((8, 0), (16, 0), (16, 2)):
        torch.manual_seed(0)
        config = PixelCNNConfig(512, side, side, hidden=64, num_layers=8, kernel_size=3, attention_every=attention)
        model = PixelCNN(config).eval()
        plain, cached = [], []
        for _ in range(3):
            started = time.perf_counter()
            uniform = draw_uniform((16, side, side), generator(0))
            slow = pixelcnn.sample_plainly(model, uniform)
            middle = time.perf_counter()
            fast = model.sample(16, generator(0))
            plain.append(middle - started)
            cached.append(time.perf_counter() - middle)
        row = {"grid": f"{side}x{side}" + (" with attention" if attention else ""), "plain_s": statistics.median(plain)}
        row |= {
            "cached_s": statistics.median(cached),
            "times_as_fast": statistics.median(plain) / statistics.median(cached),
        }
        print(json.dumps(row | {"equal": (slow == fast).double().mean().item()}))


if __name__ == "__main__":
    main()
