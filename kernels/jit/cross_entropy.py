"""Cross-entropy of class labels over the rows of float32 ``x (rows, classes)``. A task is one of `parts` runs of rows.

With ``m`` the row's maximum and ``l = log(sum(exp(x - m)))`` the logarithm of a probability is ``x - m - l``; the
probabilities themselves are never stored. Bytes: 4 a logit forward, 8 backward, and a few a row.
"""

from __future__ import annotations

import math

import numpy as np

from .parallel import parallel_for
from .softmax import SUMS, exp, row_maximum


@parallel_for(fastmath=SUMS)
def cross_entropy(part, x, labels, weight, smoothing, losses, norms, parts):
    """``-sum_j c_j log p_j`` of each row, and ``(m, l)`` in the two rows of `norms`. A negative label's loss is 0.

    ``c_j = (1 - smoothing) weight[label] [j = label] + smoothing / classes weight_j``
    """
    classes = x.shape[1]
    for r in range(len(x) * part // parts, len(x) * (part + 1) // parts):
        a, label = x[r], labels[r]
        highest, total = row_maximum(a), np.float32(0)
        for i in range(classes):
            total += exp(a[i] - highest)
        log_total = np.float32(math.log(total))
        norms[0, r], norms[1, r] = highest, log_total
        losses[r] = 0
        if label < 0:
            continue
        loss = (log_total - (a[label] - highest)) * weight[label] * (np.float32(1) - smoothing)
        if smoothing > 0:
            spread = np.float32(0)
            for i in range(classes):
                spread += weight[i] * (log_total - (a[i] - highest))
            loss += spread * (smoothing / np.float32(classes))
        losses[r] = loss


@parallel_for(fastmath=SUMS)
def cross_entropy_backward(part, g, x, norms, labels, weight, smoothing, gx, parts):
    """``gx = g (sum(c) p - c)``, and 0 where the label is negative."""
    classes = x.shape[1]
    share = smoothing / np.float32(classes)
    weights = np.float32(0)
    for i in range(classes):
        weights += weight[i]
    for r in range(len(x) * part // parts, len(x) * (part + 1) // parts):
        a, out, label = x[r], gx[r], labels[r]
        if label < 0:
            for i in range(classes):
                out[i] = 0
            continue
        of_label = weight[label] * (np.float32(1) - smoothing)
        total = of_label + share * weights
        highest, log_total, factor = norms[0, r], norms[1, r], g[r]
        for i in range(classes):
            out[i] = factor * (exp(a[i] - highest - log_total) * total - share * weight[i])
        out[label] -= factor * of_label
