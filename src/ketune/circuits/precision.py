"""Circuits are computed in fp32 or better, whatever autocast the model runs in."""

import torch


def without_autocast(device: torch.device) -> torch.autocast:
    """A context in which nothing on `device` is rounded; on "meta", for which torch has no autocast, nothing is."""
    return torch.autocast("cpu" if device.type == "meta" else device.type, enabled=False)
