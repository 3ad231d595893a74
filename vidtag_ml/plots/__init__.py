"""Pictures for reports: one look, maps, charts. Pictures of one system are in its room."""
