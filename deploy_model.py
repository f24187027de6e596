"""Deploy the base model in TorchServe, score it block by block, and report whether it has drifted.

    python deploy_model.py --max_epochs 3 --test_data_rows 100 --block_size 20 --threshold_accuracy .55 \\
        --register_model_name drift_model --mlflow_experiment_name drift
    python deploy_model.py --mlflow_experiment_name drift --on_drift retrain      # retrain, swap in a better model, continue
    python deploy_model.py --mlflow_experiment_name drift --fail_on_drift         # exit code 10 on drift, for schedulers
    python deploy_model.py --mlflow_experiment_name drift --serve_only --torchserve_url http://127.0.0.1:8080     # after that server has restarted

It scores the rows after the training rows, in time order. By the default rule a block has drifted when its accuracy is
under the threshold. On small blocks that also happens by chance; the output states how often. --drift_rule significant
alarms only beyond noise.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.call import flag
from driftloop.cli.script_flags import DeployFlags, LoopFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("deploy_model.py", __doc__)
    learners.add_flag(parser)
    own: dict[str, Any] = {
        "test_data_rows": 100,
        "block_size": 20,
        "threshold_accuracy": 0.55,
        "drift_rule": "threshold",
        "on_drift": "prompt",
        "max_retrains": 5,
    }
    parsing.add_flags(parser, flags.WatchFlags, title="watch", **own)
    parsing.add_flags(
        parser, flags.TrainingFlags, flags.TaskFlags, flags.KpiFlags, title="training", total_trials=flag(4, "sets of parameters that a retrain tries with Ax")
    )
    parsing.add_flags(parser, flags.JudgingFlags, title="judging")
    parsing.add_flags(parser, flags.PromoteFlags, title="promotion")
    parsing.add_flags(parser, flags.ExperimentFlags, flags.RegistryFlags, flags.BaseRunFlags, title="MLflow")
    parsing.add_flags(parser, flags.ServerFlags, LoopFlags, flags.WorkerFlags, DeployFlags, flags.ServingFlags, title="TorchServe")
    parsing.add_flags(parser, flags.DataFlags, flags.TextFlags, title="data")
    return parser


def work(args: DeployFlags) -> tuple[dict[str, Any], int]:
    """Deploy, watch, decide; return the result."""
    from driftloop.watch.scripts import deploy

    return deploy(args, learners.load(args.learner, data_path=args.data_path))


def main(argv: list[str] | None = None) -> int:
    """Run the script; return its exit code."""
    return runner.run(work, build_parser(), argv, DeployFlags)


if __name__ == "__main__":
    sys.exit(main())
