"""Where the bars of a node lie."""
