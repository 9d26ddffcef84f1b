"""Published results on recurrent networks, each reproduced by one command: `python -m rnnjax.museum NAME`."""
