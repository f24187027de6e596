"""Deploy the base model in TorchServe, score it block by block, and report whether it has drifted.

    python deploy_model.py --max_epochs 3 --test_data_rows 100 --block_size 20 --threshold_accuracy .55 \\
        --register_model_name drift_model --mlflow_experiment_name drift
    python deploy_model.py --mlflow_experiment_name drift --on_drift retrain      # retrain, swap in what is better, go on
    python deploy_model.py --mlflow_experiment_name drift --fail_on_drift         # exit code 10 on drift, for schedulers
    python deploy_model.py --mlflow_experiment_name drift --serve_only --torchserve_url http://127.0.0.1:8080     # after that server has started again

The rows scored are those after the rows that the model was trained on, in time order. By the default rule a block has
drifted as soon as its accuracy is under the threshold. On small blocks that happens by chance, too: it says how
often. --drift_rule significant alarms only on more than noise.
"""

from __future__ import annotations

import sys
from typing import Any

from driftloop.cli import flags, parsing, runner
from driftloop.cli.script_flags import DeployFlags
from driftloop.watch import learners


def build_parser() -> parsing.Parser:
    """The flags of this script."""
    parser = parsing.parser("deploy_model.py", __doc__)
    learners.add_flag(parser)
    flags.add_watch_flags(parser, test_data_rows=100, block_size=20, threshold=0.55, rule="threshold", on_drift="prompt", max_retrains=5)
    flags.add_training_flags(parser, total_trials=4, what="sets of parameters that a retrain tries with Ax")
    flags.add_retrain_flags(parser)
    flags.add_tracking_flags(parser, registers=True, base=True)
    flags.add_serving_flags(parser, alone=True)
    flags.add_data_flags(parser)
    return parser


def work(args: DeployFlags) -> tuple[dict[str, Any], int]:
    """Deploy, watch, decide; give the result."""
    from driftloop.watch.scripts import deploy

    return deploy(args, learners.load(args.learner))


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit code."""
    return runner.run(work, build_parser(), argv, DeployFlags)


if __name__ == "__main__":
    sys.exit(main())
