"""Every test computes in float64 where its arrays ask for it, and in full precision on every device."""

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")
# Programs are tiny and run once here: compiling them is what takes the time.
jax.config.update("jax_disable_most_optimizations", True)
