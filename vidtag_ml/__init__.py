"""Machine learning of vidtag: models, retrieval and trajectories; knows no orchestrator and no registry."""

__version__ = "0.1.0"
