"""What MongoDB's image does, with SecantusDB: the first start makes the root user of the environment, and then it serves with authentication."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

FOLDER = Path("/data/db")
MADE = FOLDER / "user-made"
SERVER = ["secantusd-py", "--config", str(FOLDER / "secantusd.toml"), "--storage-path", str(FOLDER / "data"), "--sync-on-commit", "--cache-size", "256M"]
SERVER += ["--log-level", "WARNING"]


def make_user() -> None:
    """Let a server without authentication, on the loopback, make the user."""
    first = subprocess.Popen([*SERVER, "--host", "127.0.0.1", "--port", "27018"])
    client = MongoClient("mongodb://127.0.0.1:27018/?directConnection=true", serverSelectionTimeoutMS=60_000)
    try:
        client.admin.command("createUser", os.environ["MONGO_INITDB_ROOT_USERNAME"], pwd=os.environ["MONGO_INITDB_ROOT_PASSWORD"], roles=["root"])
        # Its files are made when a collection first needs one, and a kill in that moment leaves a database that never opens again: make them all.
        for number in range(200):
            client["first-start"][f"c{number}"].insert_one({"_id": 0})
        client.drop_database("first-start")
    except PyMongoError as exc:
        print(f"the user was not made: {exc}", file=sys.stderr)
    client.close()
    first.send_signal(signal.SIGTERM)
    first.wait(30)
    MADE.touch()


if __name__ == "__main__":
    (FOLDER / "secantusd.toml").touch()
    if not MADE.exists():
        make_user()
    os.execvp(SERVER[0], [*SERVER, "--auth", "--host", "0.0.0.0", "--port", "27017"])
