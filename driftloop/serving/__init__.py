"""Serves trained models on TorchServe: the archive, the server and its client, golden predictions, the swap."""
