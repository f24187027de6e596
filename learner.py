"""The learner for ELEC, or any table with a class label: its classes, and the files packed into the .mar."""

from pathlib import Path

from driftloop.training.fitting import Learner
from elec_datamodule import ElecDataModule
from elec_model import ElecModel

ROOT = Path(__file__).resolve().parent
ELEC = Learner(ElecModel, ElecDataModule, model_file=ROOT / "elec_model.py", handler_file=ROOT / "handler.py")
