"""The registry of models in MLflow, and decisions about champions.

Belongs here: names, versions, aliases (registry), the same without MLflow (registry_file), who is
champion (champions), the log of such decisions (promotions), what killed processes left there
(leftovers). Does not belong here: what a version was made from (lineage), how it comes to be one
(release).
"""
