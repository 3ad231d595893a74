"""The machine-learning commands: parse, call one function, print."""
