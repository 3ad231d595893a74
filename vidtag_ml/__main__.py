"""`python -m vidtag_ml`: the machine-learning commands, for a machine without the registry."""

from vidtag_ml import cli

if __name__ == "__main__":
    cli.main()
