"""Machine learning of vidtag: models, retrieval, trajectories; knows no orchestrator."""

__version__ = "0.1.0"
