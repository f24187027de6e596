"""Shared by our HTTP services: responses, strict JSON, pages, gunicorn."""
