"""A RabbitMQ node of our own, apart from any other broker on the machine."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tiercast_local import amqp
from tiercast_local.child import Child
from tiercast_local.errors import LocalError, Missing, NotReady
from tiercast_local.ports import LOOPBACK, free_port, wait_until_free

NODE_NAME = "tiercast@localhost"  # constant, because the data directory belongs to one name; the epmd is private
USER = "tiercast"
READY_WITHIN = 60.0  # seconds; a start takes about 8 on an idle machine
# Debian's scripts in /usr/sbin insist on the user rabbitmq; these do not.
SCRIPT_DIRS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin", "/opt/rabbitmq/sbin")


def installed_scripts() -> Path | None:
    """Return the directory with `rabbitmq-server` and `rabbitmqctl`, or None when RabbitMQ is not installed."""
    on_path = shutil.which("rabbitmq-server")
    candidates = [*map(Path, SCRIPT_DIRS), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((path for path in candidates if (path / "rabbitmq-server").exists()), None)


class RabbitMQNode:
    """A broker with its data, ports, cookie, logs and port mapper (epmd) in one directory.

    Ports are free ones unless `port` is given, and stay the same over restarts. With `management`, the HTTP
    API listens too (`api_url`). Only the loopback interface is used. The password is generated once and kept
    beside the data.
    """

    def __init__(self, directory: Path, *, port: int | None = None, management: bool = False) -> None:
        scripts = installed_scripts()
        if scripts is None:
            raise Missing("rabbitmq-server is not installed")
        self._scripts = scripts
        self.directory = directory.absolute()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.api_port = free_port() if management else None
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        self._broker: Child | None = None
        self._epmd: Child | None = None

    @property
    def user(self) -> str:
        """The broker user in `url`, an administrator."""
        return USER

    @property
    def url(self) -> str:
        """AMQP URL of the default virtual host."""
        return f"amqp://{USER}:{self._password()}@{LOOPBACK}:{self.port}/"

    @property
    def api_url(self) -> str:
        """URL of the management API, credentials included."""
        if self.api_port is None:
            raise LocalError("this node was made without management=True")
        return f"http://{USER}:{self._password()}@{LOOPBACK}:{self.api_port}/api"

    @property
    def log(self) -> Path:
        """The file with the broker's output."""
        return self.directory / "broker.log"

    def version(self) -> str:
        """Return the version the running broker tells."""
        return amqp.version(self.url)

    def running(self) -> bool:
        """Tell whether the broker process lives."""
        return self._broker is not None and self._broker.alive()

    def start(self) -> None:
        """Start the broker on its data and return when it accepts AMQP connections.

        Raises `NotReady` when it dies or takes longer than a minute.
        """
        if self.running():
            return
        self._write_configuration()
        if self._epmd is None or not self._epmd.alive():
            self._epmd = self._start_epmd()
        self._broker = Child([str(self._scripts / "rabbitmq-server")], env=self._environment(), log=self.log)
        try:
            self._await_ready(self._broker)
        except BaseException:  # a Ctrl-C too
            self.kill()
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the broker down in order, and its epmd with it."""
        if self._broker is not None:
            self._broker.stop(signal.SIGTERM, within=30)
        self._after_broker()
        if self._epmd is not None:
            self._epmd.stop(within=2)
            self._epmd = None

    def kill(self) -> None:
        """Kill the broker at once (SIGKILL); `start` brings it back on its data.

        A quorum queue declared within the last two seconds may be lost: see `await_on_disk`.
        """
        if self._broker is not None:
            self._broker.kill()
        self._after_broker()

    def restart(self) -> None:
        """Stop in order and start again on the same data and ports."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): connections stay open and nothing answers."""
        self._running_broker().pause()

    def resume(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self._running_broker().resume()

    def await_on_disk(self, quorum_queue: str, within: float = 15) -> None:
        """Wait until a kill can no longer lose a queue that was just declared.

        RabbitMQ 3.10 writes the registration of a quorum queue one to two seconds after it confirmed the
        declaration. Killed before that, it comes back with a queue that never answers.
        """
        deadline = time.monotonic() + within
        registrations = self.directory / "data" / NODE_NAME / "quorum" / NODE_NAME / "names.dets"
        while quorum_queue.encode() not in registrations.read_bytes():
            if time.monotonic() > deadline:
                raise NotReady(f"quorum queue {quorum_queue!r} is not on disk after {within} s")
            time.sleep(0.05)

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on this node and return what it printed; about half a second."""
        done = subprocess.run(
            [str(self._scripts / "rabbitmqctl"), "--quiet", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise LocalError(f"rabbitmqctl {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def _running_broker(self) -> Child:
        if self._broker is None or not self._broker.alive():
            raise LocalError("the broker does not run")
        return self._broker

    def _after_broker(self) -> None:
        self._broker = None
        for port in (self.port, self._distribution_port):
            if not wait_until_free(port):
                raise NotReady(f"port {port} is still taken after the broker ended")

    def _await_ready(self, broker: Child) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not amqp.answers(self.url):
            if not broker.alive() or time.monotonic() > deadline:
                state = "did not become ready" if broker.alive() else "ended while starting"
                raise NotReady(f"the private RabbitMQ {state}; the end of {self.log}:\n{broker.tail()}")
            time.sleep(0.1)

    def _password(self) -> str:
        file = self.directory / "password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(18))
        return file.read_text()

    def _write_configuration(self) -> None:
        lines = [
            f"listeners.tcp.local = {LOOPBACK}:{self.port}",
            f"default_user = {USER}",
            f"default_pass = {self._password()}",
            "default_user_tags.administrator = true",
        ]
        if self.api_port is not None:
            lines += [f"management.tcp.ip = {LOOPBACK}", f"management.tcp.port = {self.api_port}"]
        configuration = self.directory / "rabbitmq.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("\n".join(lines) + "\n")
        plugins = "rabbitmq_management" if self.api_port is not None else ""
        (self.directory / "enabled_plugins").write_text(f"[{plugins}].\n")
        (self.directory / "env.conf").touch()  # instead of the machine's /etc/rabbitmq/rabbitmq-env.conf

    def _environment(self) -> dict[str, str]:
        here = self.directory
        foreign = ("RABBITMQ_", "ERL_", "NOTIFY_SOCKET")
        return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
            "HOME": str(here),
            "RABBITMQ_NODENAME": NODE_NAME,
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "logs"),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            # The script then replaces itself by the Erlang machine: our child's id is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _start_epmd(self) -> Child:
        """Start a port mapper in the foreground; otherwise Erlang would leave a daemon of its own behind."""
        program = shutil.which("epmd")
        if program is None:
            raise Missing("epmd is not installed (it belongs to Erlang)")
        return Child([program], env=self._environment(), log=self.directory / "epmd.log")
