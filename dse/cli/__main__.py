"""`python -m dse.cli`."""

from dse.cli import main

if __name__ == "__main__":
    main()
