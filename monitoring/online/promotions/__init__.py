"""The answer to GET /promotions: who decided when, why and on which evidence that a version serves."""
