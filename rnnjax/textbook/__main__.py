from rnnjax.cli import run
from rnnjax.textbook import main

if __name__ == "__main__":
    run(main)
