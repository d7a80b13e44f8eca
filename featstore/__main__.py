"""`python -m featstore` is the command `featstore`."""

from featstore.cli import main

if __name__ == "__main__":
    main()
