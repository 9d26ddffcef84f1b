"""The mathematics of recurrent networks: pure functions, no files, no printing."""
