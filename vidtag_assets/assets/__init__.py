"""The stages as Dagster assets, with their checks: one module a stage of the chain.

Belongs here: assets of the data (own_recordings, dataset, expectations, gallery, aerial, features),
of any system (factory, with what cityguessr adds), of all of them (leaderboard, retraining). Does
not belong here: what assets call (vidtag_ml, and the other rooms), when they run (orchestration).
"""
