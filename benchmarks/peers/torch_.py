"""PyTorch: nn.RNN, nn.GRU, nn.LSTM with one-hot inputs. These take vectors only, so the best style has one-hot rows
too: it takes them from a table, reads the losses at the end, and has the fused Adam, and one thread at batch 1."""

import contextlib
import os

import numpy as np
import torch
from torch import nn

from benchmarks.peers import Run
from benchmarks.problem import CLIP_NORM, LEARNING_RATE, VOCABULARY, Size, Text
from benchmarks.weights import Weights

DEVICE = torch.device("cpu" if os.environ["JAX_PLATFORMS"] == "cpu" else "cuda")
torch.backends.cudnn.allow_tf32 = False  # as the other peers do where they are asked for float32


class Network(nn.Module):
    """One recurrent layer and the read-out."""

    def __init__(self, cell: str, size: Size):
        super().__init__()
        self.layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell](VOCABULARY, size.hidden)
        self.readout = nn.Linear(size.hidden, VOCABULARY)

    def forward(self, x, state):
        hs, state = self.layer(x, state)
        return self.readout(hs), state


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    best = style == "best"
    if best and size.batch == 1:
        torch.set_num_threads(1)  # measured: nothing to share out between threads, and much to wait for
    network = Network(cell, size)
    network.load_state_dict(convert(weights))
    network.to(DEVICE)
    if cell != "gru":  # two biases that both learn would take steps twice as long as those of one
        network.layer.bias_hh_l0.requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True if best else None)
    criterion = nn.CrossEntropyLoss()
    xs, ys = torch.from_numpy(text.x).long().to(DEVICE), torch.from_numpy(text.y).long().to(DEVICE)
    table = torch.eye(VOCABULARY, device=DEVICE)
    bfloat16 = os.environ["PRODUCTS"] == "bfloat16"
    state, position = None, 0

    def train_step() -> torch.Tensor:
        nonlocal state, position
        window = position % len(xs)
        state = None if window == 0 else state
        x = table[xs[window]] if best else nn.functional.one_hot(xs[window], VOCABULARY).float()
        with torch.autocast(DEVICE.type, torch.bfloat16) if bfloat16 else contextlib.nullcontext():
            logits, state = network(x, state)
            loss = criterion(logits.view(-1, VOCABULARY), ys[window].view(-1))
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        position += 1
        return loss.detach()

    def run(steps: int) -> np.ndarray:
        if best:
            return torch.stack([train_step() for _ in range(steps)]).cpu().numpy()
        return np.array([train_step().item() for _ in range(steps)], np.float32)

    return run


def convert(weights: Weights) -> dict[str, torch.Tensor]:
    """PyTorch multiplies from the left and has two biases, of which the second is zero but for a GRU."""
    arrays = {
        "layer.weight_ih_l0": weights.U.T,
        "layer.weight_hh_l0": weights.W.T,
        "layer.bias_ih_l0": weights.bh,
        "layer.bias_hh_l0": weights.bz,
        "readout.weight": weights.V.T,
        "readout.bias": weights.by,
    }
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
