"""A trained model behind TorchServe: the archive, the server and its client, golden predictions, the swap."""
