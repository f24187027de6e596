"""The HTTP service for predictions: validates strictly, calls TorchServe, responds, and records each answer in the spool.

python -m prediction_service --streams elec --torchserve_url http://127.0.0.1:8080 --spool .driftloop/spool
"""

from driftloop.system import environment

environment.explain_missing()
