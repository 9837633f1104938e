"""`python -m pnas_sim`: the command `pnas-sim`, where its script is not on the path."""

from pnas_sim.cli import main

if __name__ == "__main__":
    main()
