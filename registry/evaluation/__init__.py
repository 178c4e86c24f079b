"""How a schema is applied to a document: the engine under `registry.validity`."""
