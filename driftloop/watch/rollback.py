"""Goes back to an earlier version by hand: the work of rollback_model.py."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from driftloop.cli.script_flags import RollbackFlags
from driftloop.errors import SettingsError, TrackingError
from driftloop.serving.site import check_server, promote, torchserve
from driftloop.tracking import mlflow_store, runs
from driftloop.tracking.promotions import promotion_log
from driftloop.tracking.promotions.promotion_log import ROLLED_BACK, Promotion
from driftloop.tracking.registry import CHAMPION, Registry
from driftloop.training import mlflow_text, trained_model
from driftloop.training.fitting import Learner
from driftloop.watch import deployment
from driftloop.watch.preparation import Work, as_trained, open_work


def roll_back(args: RollbackFlags, learner: Callable[[], Learner]) -> tuple[dict[str, Any], int]:
    """Make an earlier version the champion, and with --torchserve_url the served one.

    Args:
        args: the flags.
        learner: loads the learner, which only a server needs.

    Raises:
        SettingsError: the version is the champion already.
        TrackingError: there is no such version, none before the champion, or its model is gone.
        ServingError: TorchServe does not answer, another process is at work there, or the swap failed; the champion keeps serving.
    """
    store = mlflow_store.open_reader()
    target = target_of(Registry(store.client, args.register_model_name), args.version)
    runs.load_network(store, Registry(store.client, args.register_model_name).run_of(target))
    if args.torchserve_url:
        check_server(url=args.torchserve_url, ports=None)
        opened = open_work(args, learner())
        run_id = Registry(store.client, args.register_model_name).run_of(target)
        opened = as_trained(opened, args, run_id=runs.parent_of(opened.store, run_id) or run_id)
        decision = _served(opened, args)
        store = opened.store
    else:
        store = mlflow_store.open_store(args.mlflow_experiment_name or None)
        registry = Registry(store.client, args.register_model_name)
        decision = _decided(registry, args, target_of(registry, args.version))
        promotion_log.carry_out(registry, decision)
    why = f"rolled back from version {decision.before} by {decision.who}: {decision.why}"
    mlflow_text.describe_version(store, Registry(store.client, args.register_model_name), decision.after, run_id=decision.run_id, reason=why)
    where = f"at {args.torchserve_url}" if args.torchserve_url else "in the registry; no server was changed"
    print(f"{args.register_model_name} version {decision.after} serves again instead of version {decision.before}, {where}")
    print(mlflow_text.where(store, decision.run_id), file=sys.stderr)
    return {"version": decision.after, "from_version": decision.before, "run_id": decision.run_id, "who": decision.who, "reason": decision.why}, 0


def target_of(registry: Registry, version: int) -> str:
    """The version to go back to: the requested one, or for 0 the one before the champion.

    Raises:
        SettingsError: the version is the champion already.
        TrackingError: there is no champion, no such version, or none before the champion.
    """
    champion, _ = registry.trained()
    found = str(version) if version else registry.previous()
    known = registry.versions()
    if found is None:
        others = [one for one in known if one != champion]
        advice = f"give --version, one of {', '.join(others[-12:])}" if others else "it is the only one"
        raise TrackingError(f"{registry.name} has no previous version: none served before version {champion}, the champion; {advice}")
    if found not in known:
        raise TrackingError(f"{registry.name} has no version {found}: give one of {', '.join(known[-12:])}")
    if found == champion:
        raise SettingsError(f"--version {found}: it is the champion of {registry.name} already")
    return found


def _decided(registry: Registry, args: RollbackFlags, target: str) -> Promotion:
    decision = promotion_log.made(ROLLED_BACK, why=args.reason or "no reason given", script=args.call.prog, run_id=registry.run_of(target))
    return replace(decision, before=registry.holder(CHAMPION) or "", after=target)


def _served(opened: Work, args: RollbackFlags) -> Promotion:
    """Swap the version in, after recovery of an interrupted swap, which may have changed the champion."""
    with torchserve(url=args.torchserve_url, ports=None) as site:
        deployment.serving_on(site, opened, args).check_owner()
        with deployment.serving_on(site, opened, args).owner():
            serving = deployment.served_by(opened, args, site)
            registry = serving.registry
            decision = _decided(registry, args, target_of(registry, args.version))
            known = trained_model.restore(opened.store, decision.run_id, learner=opened.learner, stream=opened.stream).numbered(decision.after)
            served = promote(registry, serving, known, decision=decision, store=opened.store, stream=opened.stream)
            return replace(decision, after=served.version)
