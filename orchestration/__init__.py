"""When things run: jobs, schedules and sensors over the assets, assembled for Dagster.

Belongs here: assembly. Does not belong here: logic of any kind.
"""
