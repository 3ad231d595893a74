"""`python -m vidtag_ml`: the machine-learning commands, for a machine without the registry."""

from vidtag_ml.cli import app as cli_app

if __name__ == "__main__":
    cli_app.main()
