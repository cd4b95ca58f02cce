"""`python -m affinage` is the command `affinage`."""

from affinage.cli.main import main

if __name__ == "__main__":
    main()
