"""The prediction log in MongoDB: the door to the database, an embedded server, predictions and labels joined by id."""
