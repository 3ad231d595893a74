"""One way into the tables: each module turns one kind of source into clips and fixes."""
