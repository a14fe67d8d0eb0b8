"""Classes that are texts: a classifier without training, and the trained one that it is measured against.

    class of a picture = argmax_c  u . w_c,        w_c = the mean of the vectors of the class's prompts, made a unit vector

Several prompts a class ("a photo of a dog", "a drawing of a dog") are one classifier, not several: their vectors are averaged, not their answers. A
linear probe instead learns w_c from labelled pictures, on the same vectors.

Paper: Radford et al., ICML 2021, sections 3.1.2 (zero-shot), 3.1.4 (prompts) and 3.2 (linear probes).
"""

import numpy
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import Tensor


def zero_shot_weights(prompt_features: Tensor) -> Tensor:
    """The classifier (classes, dim), unit vectors, of the unit vectors of its prompts (classes, prompts, dim)."""
    return F.normalize(prompt_features.mean(dim=1), dim=1)


def classify(features: Tensor, weights: Tensor) -> Tensor:
    """The class (batch,) int64 whose vector (classes, dim) is nearest to each picture's (batch, dim)."""
    return (features @ weights.T).argmax(dim=1)


def linear_probe(features: Tensor, labels: Tensor, test_features: Tensor, strength: float = 10.0) -> Tensor:
    """The class (test,) int64 that logistic regression, trained on vectors (n, dim) and labels (n,), gives each test vector (test, dim).

    Args:
        strength: the larger, the less the weights are held down (sklearn's C).

    Raises:
        ValueError: if there are no two classes among the labels.
    """
    if len(labels.unique()) < 2:
        raise ValueError(
            f"a probe needs examples of at least two classes, got {len(labels)} examples of {labels.unique().tolist()}"
        )
    probe = LogisticRegression(C=strength, max_iter=1000).fit(features.cpu().numpy(), labels.cpu().numpy())
    return labels.new_tensor(numpy.asarray(probe.predict(test_features.cpu().numpy())))
