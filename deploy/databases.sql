-- Run once, when PostgreSQL makes its cluster: a database for each of the two that keep something in it.
CREATE DATABASE dagster;
CREATE DATABASE mlflow;
