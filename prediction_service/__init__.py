"""The front door for predictions: validates strictly, asks TorchServe, answers, and leaves each answer in the spool.

python -m prediction_service --streams elec --torchserve_url http://127.0.0.1:8080 --spool .driftloop/spool
"""

from driftloop.system import environment

environment.explain_missing()
