"""PyTorch: nn.RNN, nn.GRU, nn.LSTM with one-hot inputs. These take vectors only, so the best style has one-hot rows
too: it takes them from a table, reads the losses at the end, and has the fused Adam, and one thread at batch 1. On a
GPU a training step may be one CUDA graph."""

import contextlib
import os
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.peers import GRAPH, Run
from benchmarks.problem import CLIP_NORM, LEARNING_RATE, VOCABULARY, Size, Text
from benchmarks.weights import Weights

DEVICE = torch.device("cpu" if os.environ["JAX_PLATFORMS"] == "cpu" else "cuda")
PRODUCTS = os.environ["PRODUCTS"]
torch.backends.cudnn.allow_tf32 = PRODUCTS == "tensorfloat32"  # as the other peers are asked
torch.backends.cuda.matmul.allow_tf32 = PRODUCTS == "tensorfloat32"
WARM_UP = 3
"""Training steps before a CUDA graph is recorded, as PyTorch's documentation has it."""


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
    is_best = style != "documented"
    if is_best and size.batch == 1:
        torch.set_num_threads(1)  # measured: nothing to share out between threads, and much to wait for
    network = Network(cell, size)
    network.load_state_dict(convert(weights))
    network.to(DEVICE)
    if cell != "gru":  # two biases that both learn would take steps twice as long as those of one
        network.layer.bias_hh_l0.requires_grad_(False)
    options = {"fused": True if is_best else None, "capturable": style == GRAPH}
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, **options)
    xs, ys = torch.from_numpy(text.x).long().to(DEVICE), torch.from_numpy(text.y).long().to(DEVICE)
    table = torch.eye(VOCABULARY, device=DEVICE)
    one_hot = (lambda ids: table[ids]) if is_best else (lambda ids: nn.functional.one_hot(ids, VOCABULARY).float())
    train_step = make_step(network, optimizer)
    if style == GRAPH:
        train_step = recorded(train_step, network, optimizer, one_hot(xs[0]), ys[0])
    state, position = None, 0

    def take_step() -> torch.Tensor:
        nonlocal state, position
        window = position % len(xs)
        loss, state = train_step(one_hot(xs[window]), ys[window], None if window == 0 else state)
        position += 1
        return loss

    def run(steps: int) -> np.ndarray:
        if is_best:
            return torch.stack([take_step() for _ in range(steps)]).cpu().numpy()
        return np.array([take_step().item() for _ in range(steps)], np.float32)

    return run


def make_step(network: Network, optimizer: torch.optim.Optimizer) -> Callable:
    """(one-hot x, ids y, state or None) -> (loss, state): one training step."""
    criterion = nn.CrossEntropyLoss()

    def train_step(x, y, state):
        narrow = torch.autocast(DEVICE.type, torch.bfloat16) if PRODUCTS == "bfloat16" else contextlib.nullcontext()
        with narrow:
            logits, state = network(x, state)
            loss = criterion(logits.view(-1, VOCABULARY), y.view(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        return loss.detach(), tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()

    return train_step


def recorded(train_step: Callable, network: Network, optimizer: torch.optim.Optimizer, x, y) -> Callable:
    """A training step as one CUDA graph, which reads and writes the same memory each time.

    The weights stay as they are given.
    """
    x, y = x.clone(), y.clone()
    first = [weight.detach().clone() for weight in network.parameters()]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        _, zeros = train_step(x, y, None)
        zeros = [torch.zeros_like(part) for part in as_tuple(zeros)]
        carried = [torch.zeros_like(part) for part in zeros]
        state = tuple(carried) if len(carried) > 1 else carried[0]
        for _ in range(WARM_UP):
            train_step(x, y, state)
        optimizer.zero_grad()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, found = train_step(x, y, state)
        for old, new in zip(carried, as_tuple(found), strict=True):
            old.copy_(new)
    with torch.no_grad():
        for weight, value in zip(network.parameters(), first, strict=True):
            weight.copy_(value)
        for moments in optimizer.state.values():
            for moment in moments.values():
                moment.zero_()

    def replay(new_x, new_y, state):
        for old, new in [(x, new_x), (y, new_y), *(zip(carried, zeros, strict=True) if state is None else ())]:
            old.copy_(new)
        graph.replay()
        return loss.clone(), ()

    return replay


def as_tuple(state) -> tuple:
    """h and c of an LSTM, h alone of the others."""
    return state if isinstance(state, tuple) else (state,)


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
