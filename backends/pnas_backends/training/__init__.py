"""The training backend: from a cell to a network to its accuracy on images."""
