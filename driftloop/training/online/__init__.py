"""Updates a trained network on newer rows instead of training another one: `updating` chooses how, `last_layer` filters, `warm_fit` fine-tunes."""
