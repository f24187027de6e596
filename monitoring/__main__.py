"""Runs a service around the model: python -m monitoring COMMAND; COMMAND --help lists its flags.

python -m monitoring local --stream taxi
python -m monitoring batch run --stream taxi --window 2020-04
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

COMMANDS: Final = {
    "local": ("monitoring.local.stack", "the whole system on this machine, with a replayed stream; Ctrl-C stops it"),
    "describe": ("monitoring.local.describe", "write a trained model's stream as YAML, for --streams_file"),
    "replay": ("monitoring.local.replay", "send a stream's rows to the prediction service, then their labels"),
    "monitor": ("monitoring.online.api", "KPI, drift and coverage of each stream, for Prometheus and for people"),
    "shipper": ("monitoring.spool.shipper", "deliver the records of a spool to MongoDB and the monitor"),
    "hook": ("monitoring.retrain.webhook", "Alertmanager's webhook: an alert starts a retrain"),
    "keeper": ("monitoring.local.keeper", "TorchServe with the registry's champion, and the retrain hook"),
    "mongo": ("monitoring.log.embedded_mongo", "an embedded MongoDB for the prediction log"),
    "labels": ("monitoring.spool.label_file", "join labels from a CSV file to their predictions"),
    "fill": ("monitoring.local.fill", "fill the prediction log from a table, as if a model had answered its rows"),
    "batch": ("monitoring.batch.flow_command", "measure a window of the prediction log, report on it, retrain"),
    "history": ("monitoring.batch.history", "list all measured windows of a stream"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command in the first argument; return its exit code, or 2 for an unknown command."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help"}:
        listed = "\n".join(f"  {name:10}{what}" for name, (_, what) in COMMANDS.items())
        print(f"usage: python -m monitoring COMMAND [flags]\n\n{listed}\n\npython -m monitoring COMMAND --help lists a command's flags")
        return 0
    if words[0] not in COMMANDS:
        print(f"monitoring: error: no command {words[0]!a:.50}; available: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    code: int = importlib.import_module(COMMANDS[words[0]][0]).main(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
