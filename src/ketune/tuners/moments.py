"""Mean and covariance of features over positions of training data, summed batch by batch.

It knows numbers, and neither adapters nor models. Shapes: B batch, T positions, n features.
"""

import torch
from torch import Tensor


class Moments:
    """Sums of features and of their products, in float64, so that the order of batches hardly matters."""

    def __init__(self) -> None:
        self.positions = 0
        self.total: Tensor = torch.zeros(())  # (n,) from the first batch on
        self.products: Tensor = torch.zeros(())  # (n, n)

    def add(self, features: Tensor, mask: Tensor | None) -> None:
        """Count the features, (B, T, n) or (B T, n), of the positions where `mask` (B, T) is not 0; of all without."""
        flat = features.flatten(0, -2)
        chosen = (flat if mask is None else flat[mask.flatten().bool().to(flat.device)]).double().cpu()
        self.positions += len(chosen)
        self.total = self.total + chosen.sum(0)
        self.products = self.products + chosen.T @ chosen

    @property
    def mean(self) -> Tensor:
        """(n,)."""
        return self.total / self.positions

    def facts(self) -> dict[str, float]:
        """Norm of the mean, norm of the deviation from it (root mean square), and effective rank of the deviations.

        The effective rank is exp of the entropy of the singular values' shares (Roy and Vetterli, EUSIPCO 2007): n
        where all directions vary alike, 1 where one does.
        """
        covariance = self.products / self.positions - torch.outer(self.mean, self.mean)
        values = torch.linalg.eigvalsh(covariance).clamp_min(0)
        shares = values.sqrt() / values.sqrt().sum().clamp_min(torch.finfo(values.dtype).tiny)
        entropy = -torch.special.xlogy(shares, shares).sum()
        return {
            "feature_mean_norm": float(self.mean.norm()),
            "feature_deviation_norm": float(values.sum().sqrt()),
            "feature_effective_rank": float(entropy.exp()) if values.any() else 0.0,
        }
