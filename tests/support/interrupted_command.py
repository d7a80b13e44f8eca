"""Ctrl-C while a command of featstore runs in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

_PATIENCE = 120


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start a command as the leader of a group of processes, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "featstore", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def interrupt(
    *arguments: object, when: Callable[[], object] | float
) -> subprocess.CompletedProcess[str]:
    """Start a command, and press Ctrl-C at some moment.

    Parameters
    ----------
    arguments
        Of the command.
    when
        As soon as this is true, or after so many seconds.

    Raises
    ------
    AssertionError
        If the command ends before.
    """
    command = start(*arguments)
    try:
        if callable(when):
            give_up = time.monotonic() + _PATIENCE
            while not when():
                assert command.poll() is None, command.communicate()
                assert time.monotonic() < give_up, "the moment never came"
                time.sleep(0.002)
        else:
            time.sleep(when)
        # A terminal sends it to everybody in the group.
        os.killpg(command.pid, signal.SIGINT)
        out, err = command.communicate(timeout=_PATIENCE)
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
            command.communicate()
    return subprocess.CompletedProcess(command.args, command.returncode, out, err)
