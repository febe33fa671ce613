"""
Performs plays against a server that is started for them: a process of twistd on a free loopback port, without TLS, for
any user. Once as plays from elsewhere are read, and once with elements outside of jabber:client compared as strictly as
scansion itself compares them.

The status is 0 only if all plays passed, the server logged no error, and ended when it was asked to.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CONFIGURATION = """
[server]
domain = localhost
[c2s]
listen = tcp:0:interface=127.0.0.1
tls = off
allow_plaintext_auth = yes
[auth]
backend = insecure:
[storage]
affiliations = memory:
[muc]
domain = conference.localhost
"""
STARTING = 60
"""Seconds after which a server that does not serve is given up."""
PERFORMING = 600
"""Seconds after which the plays are given up."""
ENDING = 60
"""Seconds after which a server that does not end is killed."""


def perform(folder: Path, plays: list[str]) -> list[str]:
    """
    Start a server, perform the plays, end the server.

    @param folder: an empty folder for it.
    @return: what was wrong.
    """
    configuration, log = folder / "server.cfg", folder / "log"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    twistd = Path(sys.executable).with_name("twistd")
    command = [str(twistd), "--nodaemon", "--pidfile=", "muccore", "-c", str(configuration)]
    server = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    output: list[str] = []
    listening = threading.Event()

    def read() -> None:
        assert server.stdout is not None
        for line in server.stdout:
            output.append(line)
            if "muccore serves" in line:
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    wrong = []
    try:
        listening.wait(STARTING)
        port = re.search(r" starting on (\d+)$", "".join(output), re.MULTILINE)
        if port is None or server.poll() is not None:
            wrong.append("the server did not start")
        else:
            for mode in ([], ["--strict-payloads"]):
                arguments = [sys.executable, "-m", "muccore.testing.scansion", "127.0.0.1", port[1], *plays, *mode]
                print(" ".join(["--", "muccore.testing.scansion", *mode]), flush=True)
                if subprocess.run(arguments, stdin=subprocess.DEVNULL, timeout=PERFORMING).returncode != 0:
                    wrong.append(" ".join(["plays failed", *mode]))
    except subprocess.TimeoutExpired:
        wrong.append(f"the plays took more than {PERFORMING} seconds")
    finally:
        if server.poll() is None:
            server.terminate()
        try:
            # twistd, asked to end, does what there is to do and then ends by the same signal.
            if server.wait(ENDING) not in (0, -signal.SIGTERM):
                wrong.append(f"the server ended with status {server.returncode}")
        except subprocess.TimeoutExpired:
            server.kill()
            wrong.append(f"the server did not end within {ENDING} seconds")
        reader.join(ENDING)
    log.write_text("".join(output), encoding="utf-8")
    if re.search(r"#(?:error|critical)\]|Traceback|Unhandled", "".join(output)):
        wrong.append("the server logged an error")
    if wrong:
        print("".join(output))
    return wrong


if __name__ == "__main__":
    paths = [os.path.abspath(path) for path in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        trouble = perform(Path(folder), paths)
    for line in trouble:
        print(f"FAILED: {line}", flush=True)
    sys.exit(bool(trouble) or not paths)
