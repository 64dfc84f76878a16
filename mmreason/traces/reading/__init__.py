"""How files of rollouts are read: rows gathered into records, at once or as a file grows."""
