"""Weights from and to other libraries: one file for each layout, all with the same verbs.

    torch.save(path, model, params)         torch.load(path, model) -> params
    flax.save(path, model, params)          flax.load(path, model) -> params
    safetensors.save(path, network)         safetensors.load(path) -> network

`torch` and `flax` also have the pure functions between the layouts, and `module(model)`, the network in the library's
own parts, which takes the file as it is. Safetensors is this package's own layout: it holds any network, and its shape.
"""

from rnnjax.interop import flax, safetensors, torch

__all__ = ["flax", "safetensors", "torch"]
