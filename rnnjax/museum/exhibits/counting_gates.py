"""Weiss, Goldberg & Yahav 2018: an LSTM counts where a GRU cannot.

A network reads a word, aⁿbⁿ or aⁿbⁿcⁿ, and gives each next symbol, or the end, a probability. It has been trained on
words alone that are in the language, and accepts a word if every symbol of it, and its end, has more than 0.01.

A memory cell may add to c what it likes, and so counts without an end; a unit of the GRU is a mean of numbers in
[-1, 1], in which ever more counts lie ever closer together.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.gradients import layer_over_time
from rnnjax.model import rnn
from rnnjax.model.cells import Cell, Hyper, State, find
from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.network import Batch, Layer, Model, Params, initial_carry
from rnnjax.model.rnn import Unroll
from rnnjax.museum.exhibit import Criterion, Exhibit, Published, Results, Setting

Array = jax.Array
Tree = Any

UNITS, EMBEDDING = 10, 3
LEAST_PROBABILITY = 0.01
OPTIMISER = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(1e-3))
BUCKET = 10
"""Words are padded to the next of the lengths that are so many n apart."""
SHOWN = {2: (1000, 50), 3: (100, 8)}
"""For each number of letters, n of the word on which the picture shows the state, and steps between two looks."""
STRIDE = 10
"""It shows each tenth n."""


def forward_without_reset(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, dict[str, Array]]:
    """hₜ = u ⊙ hₜ₋₁ + (1 - u) ⊙ n: a GRU whose reset gate is always open."""
    del hyper
    (h_prev,) = state
    to_u, to_n = jnp.split(a + z, 2, axis=-1)
    u, n = sigmoid(to_u), jnp.tanh(to_n)
    return (n + u * (h_prev - n),), {"gate u": u, "tanh n": n}


CELLS = {
    "LSTM": find("lstm"),
    "GRU": find("gru"),
    "GRU without reset": Cell("gru_without_reset", ("u", "n"), forward_without_reset),
}


def run(seeds: np.ndarray, cell: str, letters: int, longest: int, far: int, tested: int, epochs: int) -> dict[str, Any]:
    """Trains a network a seed on the words of n < `longest`, and finds which n it tells, from 1 to `tested`.

    It tells n if it accepts the word of n, and refuses those with one last letter less and one more.
    """
    model = Model(letters + 1, UNITS, cell=CELLS[cell], embedding=EMBEDDING, learned_state=True, inputs=letters)
    params = jax.jit(lambda seeds: train(seeds, model, longest, epochs))(jnp.asarray(seeds))
    of_each = lambda function: jax.jit(lambda params: jax.lax.map(function, params))(params)
    right, refused = (np.asarray(of) for of in of_each(lambda one: judge(one, model, tested + 1)))
    told = right & refused
    return {
        "accepts as far": right[:, far],
        "tells as far": told[:, far],
        "words accepted": right[:, 1:longest].mean(axis=1),
        "words told": told[:, 1:longest].mean(axis=1),
        "n beyond accepted": right[:, longest : far + 1].mean(axis=1),
        "n beyond told": told[:, longest : far + 1].mean(axis=1),
        "told": told[:, ::STRIDE],
        "state": np.asarray(of_each(lambda one: trace(one, model))),
    }


def train(seeds: Array, model: Model, longest: int, epochs: int) -> Params:
    """The trained weights of networks that begin with different ones."""
    one_word = lambda number, trials: jax.vmap(lambda trial: update(trial, number, model, longest))(trials)
    params = jax.vmap(lambda seed: draw_params(jax.random.key(seed), model))(seeds)
    trials = {"params": params, "optimiser": jax.vmap(OPTIMISER.init)(params)}
    return jax.lax.fori_loop(0, epochs * longest, one_word, trials)["params"]


def draw_params(key: Array, model: Model) -> Params:
    """Weights of every gate's matrix [m, n] from ±sqrt(6 / (m + n)), of a vector [n] from ±sqrt(3 / n)."""
    H, G, V = model.hidden, len(model.cell.gates), model.vocabulary
    keys = iter(jax.random.split(key, 8))
    bound = lambda fans: (3 * len(fans) / sum(fans)) ** 0.5
    draw = lambda shape, fans: bound(fans) * jax.random.uniform(next(keys), shape, minval=-1, maxval=1)
    layer = Layer(
        U=draw((EMBEDDING, G * H), (EMBEDDING, H)),
        W=draw((H, G * H), (H, H)),
        bh=draw((G * H,), (H,)),
        bz=jnp.zeros(G * H) if model.cell.recurrent_bias else None,
        s0=draw((model.state_width,), (H,)),
    )
    return Params((layer,), draw((H, V), (H, V)), draw((V,), (V,)), draw((model.width, EMBEDDING), (EMBEDDING,)))


def word(n: Array, letters: int, length: int) -> Array:
    """The first `length` symbols of aⁿbⁿ.. whose last letter goes on for ever; letters are 0, 1, 2."""
    return jnp.minimum(jnp.arange(length) // jnp.maximum(n, 1), letters - 1)


def update(trial: Tree, number: Array, model: Model, longest: int) -> Tree:
    """One word; each epoch has all of them, in an order that is the same for all networks."""
    order = jax.random.permutation(jax.random.fold_in(jax.random.key(0), number // longest), longest)
    n = order[number % longest]
    lengths = range(model.width * BUCKET, model.width * (longest + BUCKET), model.width * BUCKET)
    ways = [partial(gradient, model=model, length=length) for length in lengths]
    grads = jax.lax.switch(n // BUCKET, ways, trial["params"], n)
    changes, optimiser = OPTIMISER.update(grads, trial["optimiser"])
    params = within_bounds(optax.apply_updates(trial["params"], changes), model)
    return {"params": params, "optimiser": optimiser}


def within_bounds(params: Params, model: Model) -> Params:
    """The same weights with the learned h₀ in [-1, 1]."""
    (layer,) = params.layers
    h0, rest = layer.s0[: model.hidden], layer.s0[model.hidden :]
    return params._replace(layers=(layer._replace(s0=jnp.append(jnp.clip(h0, -1, 1), rest)),))


def gradient(params: Params, n: Array, model: Model, length: int) -> Params:
    """The gradient of -log p of a word, its end among it."""
    letters, t = model.width, jnp.arange(length + 1)
    following = jnp.where(t < letters * n, word(n, letters, length + 1), letters)

    def loss(params: Params) -> Array:
        log_p = predict(params, model, word(n, letters, length), layer_over_time.unroll)
        return -jnp.sum(jnp.where(t <= letters * n, log_p[t, following], 0))

    return jax.grad(loss)(params)


def predict(params: Params, model: Model, symbols: Array, unroll: Unroll = rnn.unroll) -> Array:
    """Log-probabilities of what follows before the first of the symbols [T, *B], and after each: [T + 1, *B, V]."""
    carry = initial_carry(model, params, symbols.shape[1:])
    _, hs = rnn.run_layers(model, params, Hyper(), carry, Batch(symbols, symbols), unroll=unroll)
    hs = jnp.concatenate([rnn.hidden(carry[0], model.hidden)[None], hs])
    return jax.nn.log_softmax(rnn.hidden_to_output(params, hs))


def judge(params: Params, model: Model, longest: int) -> tuple[Array, Array]:
    """True for each n < `longest` whose word is accepted, and where those with one last letter less and one more are
    refused: bool [longest] each."""
    letters, n = model.width, jnp.arange(longest)
    symbols = jax.vmap(lambda n: word(n, letters, letters * longest), out_axes=1)(n)
    likely = predict(params, model, symbols) > jnp.log(LEAST_PROBABILITY)
    spelt = jnp.take_along_axis(likely[:-1], symbols[..., None], axis=-1)[..., 0]
    spelt = jnp.cumprod(jnp.concatenate([jnp.ones((1, longest), bool), spelt]), axis=0) > 0
    accepted = lambda length: (spelt & likely[..., letters])[length, n]
    return accepted(letters * n), ~accepted(letters * n + 1) & ~accepted(jnp.maximum(letters * n - 1, 0))


def trace(params: Params, model: Model) -> Array:
    """The memory of an LSTM, or h, as a long word is read: [looks, H]."""
    n, every = SHOWN[model.width]
    step = lambda carry, x: (rnn.step(model, params, Hyper(), carry, Batch(x, x))[0], carry[0][-model.hidden :])
    symbols = word(jnp.int32(n), model.width, model.width * n + 1)
    return jax.lax.scan(step, initial_carry(model, params, ()), symbols)[1][::every]


def draw(figure: Any, results: Results) -> None:
    """The states of one network of each arm, as in the paper's figure, and the share of trials that count so far."""
    sides = figure.subplot_mosaic("abe;cdf")
    for name, arm in zip("abcd", ("LSTM, aⁿbⁿ", "GRU, aⁿbⁿ", "LSTM, aⁿbⁿcⁿ", "GRU, aⁿbⁿcⁿ"), strict=True):
        sides[name].set_title(arm, fontsize="small")
        if arm in results:
            best = int(np.argmax(results[arm]["n beyond told"]))
            _, every = SHOWN[len(arm.split(", ")[1]) // 2]
            states = results[arm]["state"][best]
            sides[name].plot(every * np.arange(len(states)), states, linewidth=1)
        sides[name].set_xlabel("symbols read", fontsize="small")
        sides[name].set_ylabel("c" if arm.startswith("LSTM") else "h", fontsize="small")
    for name, letters, longest in (("e", "aⁿbⁿ", 100), ("f", "aⁿbⁿcⁿ", 50)):
        for arm, of in results.items():
            if arm.endswith(f" {letters}"):
                shares = of["told"].mean(axis=0)[1:]
                sides[name].plot(STRIDE * np.arange(1, len(shares) + 1), shares, label=arm.split(",")[0])
        sides[name].axvspan(0, longest, color="0.5", alpha=0.2, linewidth=0)
        sides[name].set_xlabel(f"n, {letters}", fontsize="small")
        sides[name].set_ylabel("networks that tell n", fontsize="small")
        sides[name].set_ylim(0, 1.02)
        if sides[name].lines:
            sides[name].legend(fontsize="xx-small")


AB = {"letters": 2, "longest": 100, "far": 256, "tested": 300, "epochs": 2000}
ABC = {"letters": 3, "longest": 50, "far": 100, "tested": 150, "epochs": 2000}
WEIGHTS = "their published network, by this rule"

EXHIBIT = Exhibit(
    paper="Weiss, Goldberg & Yahav (2018). On the practical computational power of finite precision RNNs for language "
    "recognition. Proceedings of ACL",
    place="Figure 1, aⁿbⁿ and aⁿbⁿcⁿ",
    claim="Trained on aⁿbⁿ with n below 100, and on aⁿbⁿcⁿ with n below 50, an LSTM counts with a cell and goes on to "
    "n = 256 and 100; a GRU does not.",
    settings=(
        Setting("Words", "aⁿbⁿ, n from 0 to 99; aⁿbⁿcⁿ, n from 0 to 49; each once in an epoch (the authors' notebook)"),
        Setting("Order", "shuffled in each epoch", "the same, alike in all trials", "words of one length run together"),
        Setting("Network", "one layer of 10 units, an embedding of 3, a softmax over letters and end (their weights)"),
        Setting("Initial state", "learned; h in [-1, 1] (their code)"),
        Setting(
            "Reset gate of the GRU",
            "in their code it is computed and then not used; in the paper it multiplies h before the product",
            "it multiplies the product, as in cuDNN, with one more bias; its absence is an arm",
            "the library's own cell; either way h is a mean of numbers in [-1, 1]",
        ),
        Setting("Initial weights", "DyNet's: ±sqrt(6 / (m + n)) of a matrix, ±sqrt(3 / n) of a vector"),
        Setting("Training", "Adam, 0.001, one word an update, -log p summed over its symbols and its end (their code)"),
        Setting("Clipped", "to a norm of 5 (DyNet's default)"),
        Setting(
            "Epochs",
            "1,000, and up to 2,000 until all words of the training set are accepted (the authors' notebook)",
            "2,000",
            "theirs had 2,000, as the empty word is never accepted",
        ),
        Setting("Accepted", "if every symbol, and the end, has a probability above 0.01 (their code)"),
        Setting(
            "Tested",
            "n = 256 and 100, as remembered: the paper's text could not be read here; 1,000 and 60 in the notebook",
            "the same, and every n from 1 to 300 and 150; aⁿbⁿ⁻¹ and aⁿbⁿ⁺¹ (or of c) are to be refused",
            "to accept everything is no counting, and some GRUs do",
        ),
        Setting("Trials", "one network each is shown", "30", "for intervals"),
    ),
    arms={
        "LSTM, aⁿbⁿcⁿ": {"cell": "LSTM", **ABC},
        "LSTM, aⁿbⁿ": {"cell": "LSTM", **AB},
        "GRU, aⁿbⁿ": {"cell": "GRU", **AB},
        "GRU, aⁿbⁿcⁿ": {"cell": "GRU", **ABC},
        "GRU without reset, aⁿbⁿcⁿ": {"cell": "GRU without reset", **ABC},
    },
    run=run,
    criteria=(
        Criterion(
            "aⁿbⁿ: share of LSTMs that tell n = 256",
            "LSTM, aⁿbⁿ",
            "tells as far",
            0.5,
            published=Published("every n to 300", WEIGHTS),
        ),
        Criterion(
            "aⁿbⁿ: share of GRUs that do",
            "GRU, aⁿbⁿ",
            "tells as far",
            0,
            0.15,
            published=Published("accepts to 109", WEIGHTS),
            fails=True,
        ),
        Criterion(
            "aⁿbⁿ: share of n from 100 to 256 that an LSTM tells and a GRU does not",
            "LSTM, aⁿbⁿ",
            "n beyond told",
            0.3,
            than="GRU, aⁿbⁿ",
        ),
        Criterion(
            "aⁿbⁿcⁿ: share of LSTMs that tell n = 100",
            "LSTM, aⁿbⁿcⁿ",
            "tells as far",
            0.5,
            published=Published("accepts to 64", WEIGHTS),
        ),
        Criterion(
            "aⁿbⁿcⁿ: share of GRUs that do",
            "GRU, aⁿbⁿcⁿ",
            "tells as far",
            0,
            0.15,
            published=Published("accepts to 50", WEIGHTS),
            fails=True,
        ),
    ),
    picture=draw,
    learned=(
        "The split is there: within the lengths of training the LSTMs tell every n, with a cell that goes up with each "
        "a and down with each b, and the GRUs 44% of aⁿbⁿ and 82% of aⁿbⁿcⁿ. Beyond, they tell next to nothing.",
        "How far an LSTM goes on is another matter. Its steps up and down are not quite the same, and the difference "
        "adds up. After the authors' 2,000 epochs all networks tell n = 100 of aⁿbⁿ, 47% n = 150, 23% n = 256 and 13% "
        "n = 300; of aⁿbⁿcⁿ 50% tell n = 60 and none n = 100. The authors' published LSTMs lie among them: one goes on "
        "to 300 and beyond, the other, of aⁿbⁿcⁿ, to 64. More training helps a little: after 500 epochs 10% told "
        "n = 256. Of aⁿbⁿcⁿ as many told n = 60 after 1,000 epochs.",
        "A hundred words make the empty one as likely as the threshold, 0.01: neither their LSTM nor ours accepts it. "
        "A first run of one arm had asked for all words from 0 to n, and found none; each n is judged by itself since.",
        "A GRU whose reset gate is not used, as in the authors' code, is much the same: it tells 88% of aⁿbⁿcⁿ within "
        "the lengths of training, and no word of n = 100.",
    ),
    quick={"epochs": 100},
    quick_arms=("LSTM, aⁿbⁿcⁿ", "GRU, aⁿbⁿcⁿ"),
)
