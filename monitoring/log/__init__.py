"""The prediction log in MongoDB: database access, an embedded server, predictions and labels joined by id."""
