"""The model as MLflow serves it: paths of videos in, tracks or places out; MLflow keeps a copy.

Belongs here: the bridge from MLflow's interface to what `registry.load` gives, as in `vidtag
locate`. Does not belong here: anything that decides a position (each system's module `locator`).
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from vidtag_ml.models.locator import Answer


class Locator(PythonModel):
    """Locates videos with the bundle among its artifacts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the bundle, if its bytes are those that were registered."""
        from vidtag_ml.models import registry

        registered = (context.model_config or {}).get("bundle")
        self.locator = registry.load(Path(context.artifacts["bundle"]), registered)

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow passes it)
        model_input: list[str],
        params: dict[str, Any] | None = None,  # noqa: ARG002 (likewise)
    ) -> pd.DataFrame:
        """Columns clip, time_s, lat, lon, initial_lat, initial_lon, score; one row a frame.

        A model that searches aerial imagery: the same, one row a second. A model of places: clip,
        answer, city, state, country, continent, and probability_ and sure_ of each; one row a
        video. Where a model of tracks tells how sure it is, there is also radius_km. A video of a
        kind that the model does not know has no position (NaN); `foreign` tells what it knows.
        """
        found = [self.locator.locate(Path(path)) for path in model_input]
        return pd.concat([_table(answer) for answer in found], ignore_index=True)


def _table(answer: Answer) -> pd.DataFrame:
    """An answer's table; without positions if its video is of another kind than the model knows."""
    table = answer.table()
    if not answer.foreign:
        return table
    told = table.columns.difference(["clip", "time_s"])
    return table.assign(**{str(name): np.nan for name in told}, foreign=answer.foreign)


mlflow.models.set_model(Locator())
