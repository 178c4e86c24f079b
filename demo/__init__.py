"""`make demo` and `make run`: the embedded stack, loaded with real data, played as a tour."""
