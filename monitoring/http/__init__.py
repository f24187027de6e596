"""What our HTTP services have in common: answers, strict JSON, pages, gunicorn."""
