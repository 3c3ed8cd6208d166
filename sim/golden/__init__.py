"""Golden models: one plainly correct statement of each operator, which judges every backend."""
