"""The training backend: a cell becomes a network, the network is trained on images, and its accuracy is the answer."""
