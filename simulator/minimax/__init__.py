"""MiniMax, by its documentation and its official command line's types."""
