"""Recurrent networks as pure functions in JAX.

The layers, from the mathematics outwards; each imports only what stands above it:

    config            the schema of configs/*.yaml
    model             cells, the network unrolled over time, loss, initialisers, sampling
    parallel          recurrences without a loop over time: Newton's method on the whole trajectory
    gradients         back-propagation through time: by autodiff, by hand, by the textbook's double sum
    analysis          the gradient by lag, Lyapunov exponents, spectra, saturation, what clipping does
    build             from a config to a network: shape, numbers, first weights
    certificate       every gradient method held against what theory says of it
    training          clipping and Adam, the jitted chunk of steps, the held-out loss
    data, run         songs to ids; a run's directory, checkpoints, plots
    trained           a network read back from its run
    tasks             what a network is trained to do: songs, the chapter's four architectures, tasks with known answers
    recorder          metrics, samples and checkpoints of a run under way
    loop              the training loop
    study             many runs of one question, as few programs as their shapes allow
    text_network      a network to look at, trained or fresh, and its text
    train, sample, predict, compare, explore, textbook, lags, clipping, export,
    ablate, report
                      the doors: python -m rnnjax.<door> --help
"""

import sys

if sys.argv[:1] == ["-m"] and any(word.startswith("rnnjax.") for word in sys.orig_argv):
    # Python looks for the door that it was told to run: what answers Ctrl-C begins here, before the long imports.
    from rnnjax.run.interrupt import listen

    listen()
